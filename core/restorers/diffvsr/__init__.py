"""DiffVSR as a restorer (ICCV 2025)."""
