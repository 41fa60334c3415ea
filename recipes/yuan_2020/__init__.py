"""Yuan, Hua, Zhou and Yu 2020, distinctive regularization (DReg)."""
