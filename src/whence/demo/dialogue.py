"""Support chats in the `messages` shape: a vague start, a question back, the matter, and its topic as the last turn."""

import json
from typing import Any

from whence.demo.desk import Desk, Message
from whence.demo.grammar import expand
from whence.demo.lexicon import CLARIFY, SYSTEM, VAGUE

Row = dict[str, Any]

WITH_TOOLS_SHARE, WITH_SYSTEM_SHARE = 0.2, 0.5


def _object(required: list[str], **properties: Row) -> Row:
    return {"type": "object", "properties": properties, "required": required}


def _tool(name: str, description: str, parameters: Row) -> Row:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


_TEXT = {"type": "string"}
FIND_CARD = _tool(
    "find_card",
    "Cards of a customer.",
    _object(
        ["customer", "filter"],
        customer=_TEXT,
        filter=_object(["status"], status={"type": "array", "items": _TEXT}, last4=_TEXT),
    ),
)
FIND_PAYMENT = _tool(
    "find_payment",
    "Payments and transfers of a customer.",
    _object(
        ["customer", "filter"],
        customer=_TEXT,
        filter=_object(["party"], party=_TEXT, amount=_object(["currency", "text"], currency=_TEXT, text=_TEXT)),
    ),
)
ABOUT_CARDS = frozenset({"lost_card", "card_declined", "card_not_arrived", "pin_reset"})
ABOUT_PAYMENTS = frozenset({"charged_twice", "unknown_payment", "transfer_pending", "refund_missing", "foreign_fee"})


def chat_row(desk: Desk, key: str, customer: str, intent: str) -> Row:
    """One chat. Chats about cards or payments sometimes look something up with a tool before the topic is named."""
    rng = desk.rng
    message = desk.message(intent, "chat", customer)
    turns: list[Row] = [
        {"role": "user", "content": expand(rng.choice(VAGUE), {}, rng)},
        {"role": "assistant", "content": rng.choice(CLARIFY)},
        {"role": "user", "content": message.text},
    ]
    row: Row = {"id": key, "customer": customer, "channel": "chat"}
    if intent in ABOUT_CARDS | ABOUT_PAYMENTS and rng.random() < WITH_TOOLS_SHARE:
        row["tools"] = [FIND_CARD, FIND_PAYMENT]
        turns += _lookup(f"call-{key}", customer, message)
    if "tools" in row or rng.random() < WITH_SYSTEM_SHARE:
        turns.insert(0, {"role": "system", "content": SYSTEM})
    turns.append({"role": "assistant", "content": intent})
    return {**row, "messages": turns}


def _lookup(call_id: str, customer: str, message: Message) -> list[Row]:
    """The assistant's call with nested arguments, and what the tool answered."""
    slots = message.slots
    if message.intent in ABOUT_CARDS:
        narrowed: Row = {"status": ["active", "blocked"], "last4": slots["last4"]}
        name = "find_card"
        found: Row = {"cards": [{"last4": slots["last4"], "status": "active"}]}
    else:
        party = slots["payee"] if message.intent == "transfer_pending" else slots["merchant"]
        name = "find_payment"
        narrowed = {"party": party, "amount": {"currency": "GBP", "text": slots["amount"]}}
        found = {"payments": [{"party": party, "amount": slots["amount"]}], "more": False}
    function = {"name": name, "arguments": {"customer": customer, "filter": narrowed}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "name": name, "content": _compact(found)},
    ]


def _compact(value: Row) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
