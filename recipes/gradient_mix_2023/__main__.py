"""`python -m recipes.gradient_mix_2023`."""

from recipes.gradient_mix_2023.study import STUDY
from recipes.study.command_line import make_app

make_app(STUDY)()
