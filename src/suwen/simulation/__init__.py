"""The virtual hospital: linked synthetic patients with known truth. A test bed, never evidence about medicine."""
