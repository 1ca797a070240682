"""STAR as a restorer, the version on I2VGen-XL (ICCV 2025)."""
