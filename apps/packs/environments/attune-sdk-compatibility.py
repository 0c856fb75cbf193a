"""Lets packs that were written for other releases of attune-sdk read and create their keys.

Put into a pack's environment by Attune, which says in docs/environments.md how to leave it out. It does nothing until
a script imports one of the SDK's modules named below, and leaves alone what it does not recognise:

- `get_key`, `update_key`, `delete_key` and `list_keys` also accept `decrypt`, sent as `?decrypt=true`,
- the first three also accept `key_ref` for `ref`,
- `CreateKeyRequest` also accepts `ref` for `local_ref`, and is sent with that `ref`.
"""

import sys


def mend_calls(module):
    """The functions of one endpoint's module."""
    import functools
    from contextvars import ContextVar
    from inspect import iscoroutinefunction, signature

    names = [name for name in ("sync_detailed", "sync", "asyncio_detailed", "asyncio") if hasattr(module, name)]
    known = signature(module.sync_detailed).parameters
    takes_ref, takes_decrypt = "ref" in known, "decrypt" in known
    if "client" not in known or (takes_decrypt and (not takes_ref or "key_ref" in known)):
        return
    decrypts = ContextVar("decrypts", default=False)

    def translated(given):
        """The arguments as this release knows them, and whether the value was asked for."""
        if takes_ref and "key_ref" in given and "ref" not in given:
            given["ref"] = given.pop("key_ref")
        return given, not takes_decrypt and bool(given.pop("decrypt", False))

    def tolerant(function):
        @functools.wraps(function)
        def call(*args, **given):
            given, wish = translated(given)
            before = decrypts.set(wish or decrypts.get())
            try:
                return function(*args, **given)
            finally:
                decrypts.reset(before)

        @functools.wraps(function)
        async def call_later(*args, **given):
            given, wish = translated(given)
            before = decrypts.set(wish or decrypts.get())
            try:
                return await function(*args, **given)
            finally:
                decrypts.reset(before)

        return call_later if iscoroutinefunction(function) else call

    plain = module._get_kwargs

    @functools.wraps(plain)
    def request(*args, **given):
        asked = plain(*args, **given)
        if decrypts.get():
            asked["params"] = {**(asked.get("params") or {}), "decrypt": "true"}
        return asked

    if not takes_decrypt:
        module._get_kwargs = request
    for name in names:
        setattr(module, name, tolerant(getattr(module, name)))


def mend_request(module):
    """The class of requests to create a key. Releases that have `ref` themselves are left as they are."""
    import functools
    from inspect import signature

    kind = module.CreateKeyRequest
    known = signature(kind.__init__).parameters
    if "ref" in known or "local_ref" not in known:
        return
    begin, as_dict = kind.__init__, kind.to_dict

    @functools.wraps(begin)
    def __init__(self, *args, **given):
        ref = given.pop("ref", None) if not args and "local_ref" not in given else None
        if ref is None:
            begin(self, *args, **given)
            return
        begin(self, local_ref=ref, **given)
        self.additional_properties["ref"] = ref

    @functools.wraps(as_dict)
    def to_dict(self):
        data = as_dict(self)
        if data.get("ref") is not None and data["ref"] == data.get("local_ref"):
            del data["local_ref"]  # with it the server would make a key of another name
        return data

    for function in (__init__, to_dict):
        setattr(kind, function.__name__, function)


MENDED = {f"attune.api_client.api.secrets.{name}_key": mend_calls for name in ("get", "update", "delete")}
MENDED["attune.api_client.api.secrets.list_keys"] = mend_calls
MENDED["attune.api_client.models.create_key_request"] = mend_request


class Finder:
    """Mends the modules named above once they are loaded, and has nothing to say of any other."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        mend = MENDED.get(name)
        if mend is None:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                import contextlib

                with contextlib.suppress(Exception):  # another release than those we know: as if we were not there
                    mend(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Finder)
