"""What runs a Model: torch as it is, torch with what can be worked out beforehand, ONNX Runtime, OpenVINO."""
