"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB in two passes, by one thread.

    Django's own hundred MiB for each sign-in would let strangers fill the memory of a small machine.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
