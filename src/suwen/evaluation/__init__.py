"""How good the answers are: metrics with intervals, calibration, subgroups, baselines, figures and the report."""
