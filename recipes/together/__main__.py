"""`python -m recipes.together`."""

from recipes.study.command_line import make_app
from recipes.together.study import STUDY

make_app(STUDY)()
