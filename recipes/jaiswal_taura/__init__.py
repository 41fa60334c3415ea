"""Jaiswal and Taura: annealed gradient noise, ResNet50 on Caltech-101."""
