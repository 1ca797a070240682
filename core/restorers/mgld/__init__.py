"""MGLD-VSR as a restorer (ECCV 2024)."""
