"""The Users tab, for admins: who may log in, with which role. The server decides who sees and changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, get_args

import gradio as gr
from gradio.context import Context

from rrg.errors import InputError
from rrg.ui.events import error_message
from rrg.ui.security.sessions import Session, current_session
from rrg.ui.security.users import MIN_PASSWORD, Account, Role, UserFile
from rrg.ui.service import Service

FOR_ADMINS = "This page is for admins. Log in with the role admin."
_INTRO = """<h2 class="hidden-text">Users</h2>
<p>A reader sees own corrections, a lead those of all readers and the tab Study, an admin also the users. A change holds
from the user's next request on. A password has at least MIN_PASSWORD characters.</p>
"""
_WITHOUT_PASSWORDS = "<p>Users log in elsewhere. This list gives them roles and disables them.</p>"


def build(service: Service) -> None:
    """Build the tab in the current Blocks and connect its events. It appears when an admin has opened the page."""
    tab, users = Context.block, service.users
    with gr.Column(elem_id="users-page", elem_classes="prose-page wide"):
        gr.HTML(
            _INTRO.replace("MIN_PASSWORD", str(MIN_PASSWORD)) + ("" if users.passwords else _WITHOUT_PASSWORDS),
            padding=False,
        )
        said = gr.HTML(padding=False, elem_id="users-said")
        shown = gr.HTML(padding=False, elem_id="users-list")
        gr.HTML("<h3>Add a user</h3>", padding=False)
        with gr.Row(elem_classes="users-form"):
            name = gr.Textbox(label="Name", max_lines=1, min_width=150, elem_id="users-name")
            role = _roles("Role", "users-role")
            password = _password(users, "Password", "users-password")
            add = _button("Add", "users-add")
        gr.HTML("<h3>Change a user</h3>", padding=False)
        with gr.Row(elem_classes="users-form"):
            chosen = gr.Dropdown([], label="User", interactive=True, min_width=150, elem_id="users-chosen")
            disable, enable = _button("Disable", "users-disable"), _button("Enable", "users-enable")
        with gr.Row(elem_classes="users-form"):
            new_role = _roles("New role", "users-new-role")
            set_role = _button("Set role", "users-set-role")
            new_password = _password(users, "New password", "users-new-password")
            set_password = _button("Set password", "users-set-password", users.passwords)

    async def on_select(request: gr.Request) -> list[Any]:
        return await listed(service, current_session(request))

    async def on_add(name: Any, role: Any, password: Any, request: gr.Request) -> list[Any]:
        return await changed(service, "add user", name, add_user(users, name, role, password), request)

    async def on_role(name: Any, role: Any, request: gr.Request) -> list[Any]:
        change = _checked(users.set_role, name, role, keep_admin=True)
        return await changed(service, f"set role {role}", name, change, request)

    async def on_password(name: Any, password: Any, request: gr.Request) -> list[Any]:
        return await changed(service, "set password", name, _checked(users.set_password, name, password), request)

    async def on_disable(name: Any, request: gr.Request) -> list[Any]:
        change = _checked(users.disable, name, keep_admin=True)
        return await changed(service, "disable user", name, change, request)

    async def on_enable(name: Any, request: gr.Request) -> list[Any]:
        return await changed(service, "enable user", name, _checked(users.enable, name), request)

    def on_load(request: gr.Request) -> Any:
        return gr.update(visible=is_admin(current_session(request)))

    options: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None}
    options["outputs"] = [said, shown, chosen, password, new_password]
    add.click(on_add, [name, role, password], trigger_mode="once", **options)
    set_role.click(on_role, [chosen, new_role], trigger_mode="once", **options)
    set_password.click(on_password, [chosen, new_password], trigger_mode="once", **options)
    disable.click(on_disable, [chosen], trigger_mode="once", **options)
    enable.click(on_enable, [chosen], trigger_mode="once", **options)
    if isinstance(tab, gr.Tab):
        tab.select(on_select, None, **options)
        gr.on(None, on_load, None, tab, queue=False, api_visibility="private", show_progress="hidden")


def is_admin(session: Session) -> bool:
    """Whether a session may see and change the users."""
    return session.user is not None and session.user.is_admin


async def listed(service: Service, session: Session, said: str = "") -> list[Any]:
    """Return the new values of the message, the table, the choice of users and the two passwords."""
    if not is_admin(session):
        return [f"<p>{FOR_ADMINS}</p>", "", gr.update(choices=[]), "", ""]
    try:
        accounts = await asyncio.to_thread(_accounts, service.users)
    except InputError as error:
        return [f"<p role='alert'>{escape(error_message(error))}</p>", "", gr.update(choices=[]), "", ""]
    return [said, users_html(accounts), gr.update(choices=list(accounts)), "", ""]


async def changed(
    service: Service, action: str, name: object, change: Callable[[], None], request: gr.Request
) -> list[Any]:
    """Carry out a change of an admin and enter it in the audit log. Returns what `listed` does."""
    session = current_session(request)
    recorded = name if isinstance(name, str) else ""
    if not is_admin(session):
        service.audit.record("refused change of users", session.name, address=session.address)
        return await listed(service, session)
    try:
        await asyncio.to_thread(change)
    except Exception as error:
        message = f"<p role='alert'>{escape(error_message(error))}</p>"
    else:
        service.audit.record(action, session.name, recorded, session.address)
        message = f"<p role='status'>Done: {escape(action)}, {escape(recorded)}.</p>"
    return await listed(service, session, message)


def add_user(users: UserFile, name: object, role: object, password: object) -> Callable[[], None]:
    """Return the change that adds a user who is not there yet."""
    given = password if users.passwords else None
    return _checked(users.add, name, role, given, overwrite=False)


def users_html(accounts: Mapping[str, Account]) -> str:
    """Return the accounts as a table. Every text is escaped."""
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{account.user.role}</td>"
        f"<td>{'disabled' if account.disabled else 'active'}</td>"
        f"<td>{'password' if account.password else 'single sign-on'}</td></tr>"
        for name, account in sorted(accounts.items())
    )
    if not rows:
        return "<p>No user is listed yet. Everybody who logs in elsewhere is a reader.</p>"
    return (
        "<div class='study-overview'><div class='scroll'><table><thead><tr><th>Name</th><th>Role</th><th>State</th>"
        f"<th>Logs in by</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _accounts(users: UserFile) -> Mapping[str, Account]:
    return users.accounts() if users.path.exists() else {}


def _checked(change: Callable[..., None], *values: object, **options: Any) -> Callable[[], None]:
    """Bind the values of a form, which come from the browser."""

    def carry_out() -> None:
        if not values[0]:
            raise InputError("No user is named. Write a name, or choose a user of the list.")
        if not all(value is None or isinstance(value, str) for value in values):
            raise InputError("The form is malformed. Reload the page.")
        change(*values, **options)

    return carry_out


def _roles(label: str, elem_id: str) -> gr.Dropdown:
    return gr.Dropdown(
        list(get_args(Role)), value="reader", label=label, interactive=True, min_width=110, elem_id=elem_id
    )


def _password(users: UserFile, label: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(
        label=label,
        type="password",
        max_lines=1,
        min_width=190,
        visible=users.passwords,
        elem_id=elem_id,
    )


def _button(text: str, elem_id: str, visible: bool = True) -> gr.Button:
    return gr.Button(text, size="sm", min_width=110, scale=0, visible=visible, elem_id=elem_id)
