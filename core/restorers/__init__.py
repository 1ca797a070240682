"""The restoration systems behind one protocol."""
