"""What is tried next: the engines of KerasTuner, repeatable from a ledger."""
