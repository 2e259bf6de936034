"""Ŷ = σ(WᵀZ + b) / Z₀: heads by the shape of their answer. Each is a row of the entry-point group ``suwen.heads``."""
