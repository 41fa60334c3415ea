"""Search for good settings of the techniques with KerasTuner."""
