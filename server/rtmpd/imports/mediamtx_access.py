"""Who may publish and read by MediaMTX's settings, as ours of publish and play."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rtmpd.imports.draft import Draft, Place
from rtmpd.imports.marked_yaml import Entry
from rtmpd.imports.mediamtx_paths import table_of

ALL: Final = ("apps", "*")
_ACTIONS: Final = {"publish": "publish", "read": "play"}
_HASHED: Final = ("sha256:", "argon2:")
_ANYONE: Final = (
    "anyone may publish, as before: `rtmpd key new` makes a key, and without allow only this machine and "
    "private networks publish"
)


class _Permission(NamedTuple):
    """Somebody may do something."""

    user: str
    """``any`` is whoever comes."""
    password: str
    ips: list[str]
    app: str
    """Of ours, ``*`` for all."""
    place: Place


def write_access(settings: Entry, draft: Draft) -> None:
    """Put all of it into the draft."""
    said = dict(settings.table)
    method, backend = said.get("authMethod"), said.get("authHTTPAddress")
    how = "internal" if method is None else method.text.lower()
    old = said.get("externalAuthenticationURL")
    if method is None and old is not None and old.text:
        how, backend = "http", old
    if how == "http" and backend is not None:
        _write_backend(backend, said.get("authHTTPExclude"), draft)
    elif how == "jwt" and method is not None:
        text = (
            "tokens say it in another form: [apps.NAME.publish.jwt] and play.jwt, with issuer and audience "
            "(docs/jwt.md); nobody is let in before"
        )
        draft.leave(method.place, "authMethod", text)
        for action in _ACTIONS.values():
            draft.put((*ALL, action, "allow"), "proven", method.place)
    elif how == "internal":
        _write_users(said.get("authInternalUsers"), settings.place, draft)


def _write_backend(backend: Entry, exclude: Entry | None, draft: Draft) -> None:
    table = (*ALL, "hooks")
    draft.put((*table, "dialect"), "mediamtx", backend.place)
    draft.put((*table, "decides"), True, backend.place)
    for key in ("on_publish", "on_play"):
        draft.add((*table, key), [backend.text], backend.place)
    for each in exclude.items if exclude is not None else ():
        action = each.get("action")
        if action is not None and action.text in _ACTIONS:
            text = "whom the backend is not asked about is said by allow in publish and play"
            draft.leave(each.place, "authHTTPExclude", text)


def _write_users(users: Entry | None, place: Place, draft: Draft) -> None:
    if users is None:  # Then anybody may do everything there.
        _let_in("publish", [_Permission("any", "", [], "*", place)], draft)
        return
    for there, action in _ACTIONS.items():
        found = [*_permissions(users, there, draft)]
        if not any(each.app == "*" for each in found):
            draft.put((*ALL, action, "allow"), "nobody", users.place)
        for app in dict.fromkeys(each.app for each in found):
            _let_in(action, [each for each in found if each.app == app], draft)


def _permissions(users: Entry, action: str, draft: Draft) -> Iterator[_Permission]:
    for user in users.items:
        name, password, ips, permissions = (user.get(key) for key in ("user", "pass", "ips", "permissions"))
        for permission in permissions.items if permissions is not None else ():
            what, where = permission.get("action"), permission.get("path")
            if what is None or what.text != action:
                continue
            path = "" if where is None else where.text
            app = "*" if not path else table_of(path, permission.place, draft)
            if app is not None:
                yield _Permission(
                    "any" if name is None else name.text,
                    "" if password is None else password.text,
                    [] if ips is None else ips.texts,
                    app,
                    user.place,
                )


def _let_in(action: str, found: list[_Permission], draft: Draft) -> None:
    """Those who may in one app."""
    table = ("apps", found[0].app, action)
    anybody = [each for each in found if each.user == "any"]
    open_to_all = next((each for each in anybody if not each.ips), None)
    if open_to_all is not None:
        if action == "publish":
            draft.put((*table, "allow"), "anyone", open_to_all.place)
            draft.remark(open_to_all.place, "publish", _ANYONE)
            if draft.goes_on(found[0].app):
                draft.put((*table, "open"), True, open_to_all.place)
        return
    named = [each for each in found if each.user != "any"]
    for each in anybody:
        if named:
            text = "an address in place of a password is not there beside users: have ips, or users"
            draft.leave(each.place, "ips", text)
        else:
            draft.put((*table, "allow"), "anyone", each.place)
            draft.add((*table, "ips"), each.ips, each.place)
    if not named:
        return
    if action == "play":
        text = "who plays has a key, link or token here, and no password: nobody plays before there is one"
        draft.leave(named[0].place, "user", text)
        draft.put((*table, "allow"), "proven", named[0].place)
        return
    for each in named:
        if each.password.startswith(_HASHED) or each.user.startswith(_HASHED):
            draft.leave(each.place, "user", "passwords have to be known in the clear: have users in publish")
            draft.put((*table, "allow"), "proven", each.place)
        elif each.ips:
            draft.leave(each.place, "user", "ips hold for all users together: have ips in publish")
            draft.put((*table, "allow"), "proven", each.place)
        else:
            draft.put((*table, "allow"), "proven", each.place)
            draft.add((*table, "users"), [f"{each.user}:{each.password}"], each.place)
