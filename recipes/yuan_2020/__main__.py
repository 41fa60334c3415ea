"""`python -m recipes.yuan_2020`."""

from recipes.study.command_line import make_app
from recipes.yuan_2020.study import STUDY

make_app(STUDY)()
