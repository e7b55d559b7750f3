"""E-mails and webhooks: sent after the commit, signed, bounded, tried again, never inside."""

import socket
import time

import pytest

from core.automation import administration
from core.automation.addresses import AddressRefused, find_target
from core.automation.calling import signature
from core.automation.switches import secret_of
from core.workflow.queue.notices import list_notices
from tests.integration.automation_world import *  # noqa: F403

MAIL = """
automation: write
type: member
trigger: {on: created}
run_as: {system: true}
retry: {times: 1, wait: 5}
actions:
  - do: email
    to: {address: [email]}
    title: {zh: "您好 {name}", en: "Hello {name}"}
    body: {zh: "第一行\\n{name}：{points}", en: "Points: {points}\\n{name}"}
"""


def hook(url, more=""):
    return f"""
automation: call
type: member
trigger: {{on: created}}
run_as: {{system: true}}
retry: {{times: 2, wait: 5}}
actions:
  - {{do: webhook, url: "{url}", values: {{no: "`no`", credit: credit, born: birthday, vip: "level == 'vip'"}}}}
{more}
"""


def local(receiver):
    return f"http://127.0.0.1:{receiver.port}/hook?x=1"


def test_mail_is_sent_after_the_commit_and_once(world, mailbox):
    box, mail = mailbox
    world.publish(MAIL)
    world.create(name="Lin", email="lin@example.com", points=7)
    world.deliver()
    assert box.mails == []
    assert world.states() == [("write", "sending")]
    world.send(mail=mail)
    world.send(mail=mail)
    assert world.states() == [("write", "done")]
    (sent,) = box.mails
    assert sent.rcpt_tos == ["lin@example.com"]
    text = sent.content.decode()
    assert "Subject: Hello Lin" in text
    assert "Points: 7" in text
    message = world.runs()[0]["results"][0]["message"]
    assert f"Message-ID: <{message['id']}@example.com>" in text


def test_value_with_line_breaks_adds_no_header_and_no_recipient(world, mailbox):
    box, mail = mailbox
    title = 'title: {zh: "您好 {name}", en: "Hello {name}"}'
    world.publish(MAIL.replace(title, 'title: {en: "{name}\\nBcc: all@example.com\\n\\nx"}'))
    world.create(name="Wang", email="wang@example.com")
    world.deliver()
    world.send(mail=mail)
    assert [one.rcpt_tos for one in box.mails] == [["wang@example.com"]]
    for one in box.mails:
        head = one.content.decode().partition("\r\n\r\n")[0]
        assert "\nBcc" not in head.replace("\r", "")


@pytest.mark.parametrize(
    "address", ["", "no address", "a@b.c, nobody", "x@example.com\nBcc: y@example.com"]
)
def test_bad_address_fails_the_run_and_sends_nothing(world, mailbox, address):
    box, mail = mailbox
    world.publish(MAIL.replace("[email]", "[name]").replace("times: 1", "times: 0"))
    world.create(name=(address or "-").replace("\n", " "))
    world.deliver()
    world.send(mail=mail)
    assert world.states() == [("write", "dead")]
    assert box.mails == []


def test_mail_that_the_server_refuses_is_tried_again_then_given_up_and_sent_on_demand(
    world, mailbox
):
    box, mail = mailbox
    box.refuse = "451 later"
    world.publish(MAIL)
    world.create(email="lin@example.com")
    world.deliver()
    world.send(mail=mail)
    assert world.states() == [("write", "sending")]
    world.later(seconds=6)
    world.send(mail=mail)
    assert world.states() == [("write", "dead")]
    assert "451" in world.runs()[0]["error"]
    box.refuse = ""
    run = world.runs()[0]["id"]
    assert administration.replay(world.ctx(), run) == run
    world.send(mail=mail)
    assert world.states() == [("write", "done")]
    assert len(box.mails) == 1


def test_installation_without_a_mail_server_says_so_in_the_run(world):
    world.publish(MAIL.replace("times: 1", "times: 0"))
    world.create(email="lin@example.com")
    world.deliver()
    world.send()
    assert world.states() == [("write", "dead")]
    assert "GUANXI_SMTP_URL" in world.runs()[0]["error"]


def test_webhook_sends_signed_json_with_exact_values(world, receiver):
    world.publish(hook(local(receiver)))
    member = world.create(no="M1", credit="12.50", birthday="1990-02-03")
    world.deliver()
    world.send(webhook_hosts=("127.0.0.1",))
    ((path, headers, body),) = receiver.calls
    assert path == "/hook?x=1"
    sent = receiver.bodies[0]
    assert sent["values"] == {"no": "M1", "credit": "12.50", "born": "1990-02-03", "vip": False}
    assert sent["record"] == {"type": "member", "id": member}
    secret = secret_of(KEY, "send", "call", 0)  # noqa: F405
    at = int(headers["X-Guanxi-Signature"].split(",")[0][2:])
    assert headers["X-Guanxi-Signature"] == signature(secret, at, body)
    assert headers["X-Guanxi-Delivery"] == world.runs()[0]["results"][0]["message"]["id"]


def test_webhook_that_fails_comes_again_with_the_same_delivery(world, receiver):
    receiver.status = 503
    world.publish(hook(local(receiver)))
    world.create()
    world.deliver()
    world.send(webhook_hosts=("127.0.0.1",))
    receiver.status = 204
    world.later(seconds=6)
    world.send(webhook_hosts=("127.0.0.1",))
    assert world.states() == [("call", "done")]
    assert len({headers["X-Guanxi-Delivery"] for _, headers, _ in receiver.calls}) == 1
    assert [len(receiver.calls), len({body for _, _, body in receiver.calls})] == [2, 1]


def test_redirect_is_not_followed(world, receiver):
    receiver.status, receiver.headers = (
        302,
        {"Location": f"http://127.0.0.1:{receiver.port}/other"},
    )
    world.publish(hook(local(receiver)).replace("times: 2", "times: 0"))
    world.create()
    world.deliver()
    world.send(webhook_hosts=("127.0.0.1",))
    assert [path for path, _, _ in receiver.calls] == ["/hook?x=1"]
    assert "302" in world.runs()[0]["error"]


def test_inside_address_that_is_not_allowed_is_never_called(world, receiver):
    world.publish(hook(local(receiver)).replace("times: 2", "times: 0"))
    world.create()
    world.deliver()
    world.send(webhook_hosts=("other.example", "127.0.0.1:1"))
    assert receiver.calls == []
    assert world.states() == [("call", "dead")]


INSIDE = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0177.0.0.1/", "https://0x7f.1/", "https://localhost/", "https://LOCALHOST./",
    "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::]/",
    "https://0.0.0.0/", "https://0/", "https://10.1.2.3/", "https://192.168.0.1:8443/",
    "https://172.31.255.255/", "https://169.254.169.254/latest/meta-data", "https://[fe80::1]/",
    "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://100.64.1.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://017700000001/",
    "https://①②⑦.⓪.⓪.①/", "http://1.1.1.1/", "ftp://1.1.1.1/", "https://user@1.1.1.1/",
    "https://1.1.1.1:99999/", "https:///x", "file:///etc/passwd", "gopher://127.0.0.1:25/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_every_spelling_of_the_inside_is_refused(url):
    with pytest.raises((AddressRefused, OSError, UnicodeError)):
        find_target(url)


def test_name_with_one_inside_address_is_refused_and_the_found_address_is_kept(monkeypatch):
    answers = [[("1.1.1.1", 443), ("10.0.0.1", 443)], [("1.1.1.1", 443)], [("127.0.0.1", 443)]]

    def resolve(_host, _port, **_more):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(AddressRefused):
        find_target("https://mixed.example/")
    # The next answer would be another one: what was found good is what is called.
    assert find_target("https://rebinding.example/").address == "1.1.1.1"
    assert len(answers) == 1


def test_receiver_that_drips_or_never_answers_is_cut_off(world, receiver, monkeypatch):
    monkeypatch.setattr("core.automation.calling.WHOLE_SECONDS", 0.6)
    monkeypatch.setattr("core.automation.calling.STEP_SECONDS", 0.5)

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(30):
            try:
                handler.wfile.write(b"X-Drip: 1\r\n")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.1)

    receiver.answer = drip
    world.publish(hook(local(receiver)).replace("times: 2", "times: 0"))
    world.create()
    world.deliver()
    began = time.monotonic()
    world.send(webhook_hosts=("127.0.0.1",))
    assert time.monotonic() - began < 3
    assert world.states() == [("call", "dead")]


def test_answer_of_any_size_is_read_only_so_far_and_never_shown(world, receiver):
    def flood(handler):
        handler.send_response(500)
        handler.end_headers()
        try:
            for _ in range(200):
                handler.wfile.write(b"secret of the inside " * 5000)
        except OSError:
            return

    receiver.answer = flood
    world.publish(hook(local(receiver)).replace("times: 2", "times: 0"))
    world.create()
    world.deliver()
    world.send(webhook_hosts=("127.0.0.1",))
    run = world.runs()[0]
    assert run["state"] == "dead"
    assert "secret of the inside" not in str(run)


def test_slow_receiver_keeps_no_event_of_others_waiting(world, receiver):
    world.publish(
        hook(local(receiver), '  - {do: notify, to: {role: clerk}, title: {en: "told"}}')
    )
    for _ in range(5):
        world.create()
    world.deliver()  # nothing was sent yet, and everybody is told already
    assert len(list_notices(world.ctx("clerk"))) == 5
    assert receiver.calls == []
