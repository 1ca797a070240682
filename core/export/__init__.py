"""Networks made ready for a CPU: 8-bit weights, run by OpenVINO."""
