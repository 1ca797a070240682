"""Captions shot by shot on the canvas: what is written is WebVTT, edits reach the field and the next run."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from textovsr.core.text.vtt import Cue, parse_text, write_text
from textovsr.tests.core.text.test_vtt import EXAMPLE
from textovsr.tests.helpers.spoilt import write
from textovsr.tests.helpers.vlms import WORDS, save_vlm
from textovsr.tools.comfy_server import ComfyServer

MODULE = "const vtt = await import('/extensions/textovsr/canvas/captions_vtt.js');"
BUILD = """([type, settings]) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.scale = 0.7;
    const add = (type, x, settings) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, 100];
        app.graph.add(node);
        for (const [name, value] of Object.entries(settings)) widget(node, name).value = value;
        return node;
    };
    window.widget = (node, name) => node.widgets.find((widget) => widget.name === name);
    const loader = add("OVSR_LoadVideo", 80, { file: "spoilt.mkv" });
    window.tested = add(type, 500, settings);
    loader.connect(0, tested, 0);
    if (!window.sought) window.addEventListener("textovsr:seek", ({ detail }) => sought.push(detail.seconds));
    window.sought = [];
}"""
SET = "([name, text]) => { widget(tested, name).value = text; widget(tested, name).callback(text); }"
TIMED = "WEBVTT\n\nNOTE mine\n\n00:00.000 --> 00:00.300 align:start\na wall\n\n00:00.300 --> 99:59:59.999\na door\n"
NASTY = [
    "a cat",
    "",
    "a <b>dog</b> --> a door",
    "NOTE of music",
    "WEBVTT",
    "two\n\nlines",
    "  5 > 3 & 1 < 2  ",
    "雪\u2028\x1c夜",
]
TIMES = [0.0, 0.0004, 0.0006, 1 / 3, 59.9996, 3599.9999, 3600.0, 359_999.0]


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    """A short video, and a tiny model that captions it."""
    write(server.base / "input" / "spoilt.mkv", spoilt=True)
    save_vlm(server.base / "models" / "LLM" / "tiny-llava")


@pytest.fixture
def run(board: Page) -> Callable[[], str]:
    """Press Run and wait for the end; returns the captions."""
    board.evaluate(
        """() => {
            if (window.ended !== undefined) return;
            app.api.addEventListener("executed", ({ detail }) => (window.shown = detail.output));
            window.ended = 0;
            for (const end of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(end, () => ended++);
        }"""
    )

    def press() -> str:
        board.evaluate("async () => { window.ended = 0; await app.queuePrompt(0); }")
        board.wait_for_function("window.ended === 1")
        return str(board.evaluate("shown.text[0]"))

    return press


def build(page: Page, kind: str = "OVSR_LLaVACaption", **settings: Any) -> None:
    """LoadVideo and one node behind it."""
    page.evaluate(BUILD, [kind, settings])


def field(page: Page, name: str = "captions") -> str:
    """What stands in the node's own text field."""
    return str(page.evaluate("(name) => widget(tested, name).value", name))


def rows(page: Page) -> Locator:
    """The captions in the editor."""
    return page.locator(".textovsr-captions li")


def test_what_is_written_is_what_our_parser_reads(board: Page) -> None:
    cues = [Cue(start, start + 2, text) for start, text in zip(TIMES, NASTY, strict=True)]
    written = board.evaluate(
        f"""async (cues) => {{
            {MODULE}
            return vtt.writeCaptions({{ plain: false, head: "WEBVTT", blocks: cues.map((cue) => vtt.cueBlock(cue)) }});
        }}""",
        [{"start": cue.start, "end": cue.end, "text": cue.text} for cue in cues],
    )
    assert parse_text(written) == parse_text(write_text(cues))
    assert [cue.text for cue in parse_text(written).cues] == [
        "a cat", "", "a bdog/b -- a door", "NOTE of music", "WEBVTT", "two lines", "5 3 & 1 2", "雪 夜",
    ]  # fmt: skip


def test_captions_are_read_as_our_parser_reads_them(board: Page) -> None:
    for text in (EXAMPLE, TIMED, EXAMPLE.replace("\n", "\r\n"), "WEBVTT\n00:00.000 --> 00:01.000\nx", "a\n cat"):
        read, again = board.evaluate(
            f"""async (text) => {{
                {MODULE}
                const captions = vtt.readCaptions(text);
                return [captions.blocks.flatMap(({{ cue }}) => cue ?? []), vtt.writeCaptions(captions)];
            }}""",
            text,
        )
        cues = tuple(Cue(**cue) for cue in sorted(read, key=lambda cue: cue["start"]))
        expected = parse_text(text).cues
        assert parse_text(again).cues == expected
        assert [(cue.start, cue.text) for cue in cues] == [(cue.start, cue.text) for cue in expected]
        assert text == "a\n cat" or cues == expected  # plain text has no end
        assert again.count("NOTE") == text.count("NOTE")


def test_captions_of_a_run_are_edited_and_the_next_run_takes_them(
    board: Page, server: ComfyServer, run: Callable[[], str], complaints: list[str]
) -> None:
    build(board, model="tiny-llava", max_tokens=4, every=0.4, control_after_generate="fixed")
    values = board.evaluate("tested.serialize().widgets_values")
    expect(rows(board)).to_have_count(0)
    found = run()
    assert len(parse_text(found).cues) == 2
    expect(rows(board)).to_have_count(2)
    assert field(board) == ""
    assert board.evaluate("tested.serialize().widgets_values")[: len(values)] == values  # the host adds its own
    image = rows(board).nth(1).locator("img")
    expect(image).to_have_attribute("src", "/api/textovsr/frame?filename=spoilt.mkv&subfolder=&type=input"
                                    "&deinterlace=auto&frame=6&format=jpeg&side=320")  # fmt: skip
    expect(image).to_be_visible()
    text = rows(board).nth(1).locator("textarea")
    assert set(text.input_value().split()) <= set(WORDS)
    text.fill("A grey wall --> here")
    (first, second) = parse_text(field(board)).cues
    assert (first, second.text) == (parse_text(found).cues[0], "A grey wall -- here")
    taken = run()
    assert taken == field(board)
    expect(rows(board)).to_have_count(2)
    board.get_by_role("button", name="Empty the field").click()
    assert field(board) == ""
    assert complaints == []


def test_edits_keep_notes_and_settings(board: Page, complaints: list[str]) -> None:
    build(board, captions="A cat.")
    expect(rows(board)).to_have_count(0)  # plain text needs no editor
    board.evaluate(SET, ["captions", TIMED])
    expect(rows(board)).to_have_count(2)
    rows(board).nth(0).locator("textarea").fill("a window")
    assert field(board) == TIMED.replace("00:00.", "00:00:00.").replace("a wall", "a window").replace(
        "00:00:00.300 --> 99", "00:00.300 --> 99"
    )
    end = rows(board).nth(1).get_by_label("end")
    expect(end).to_have_value("end")
    end.fill("0:00.1")
    end.press("Enter")
    assert "99:59:59.999" in field(board)  # before its start: not taken
    end.fill("1:02,5")
    end.press("Enter")
    assert parse_text(field(board)).cues[1] == Cue(0.3, 62.5, "a door")
    rows(board).nth(1).get_by_label("Make two captions").click()
    assert [(cue.start, cue.end) for cue in parse_text(field(board)).cues[1:]] == [(0.3, 2.3), (2.3, 62.5)]
    rows(board).nth(1).get_by_label("Remove this caption").click()
    assert [cue.start for cue in parse_text(field(board)).cues] == [0.0, 2.3]
    assert "NOTE mine" in field(board)
    rows(board).nth(1).locator(".textovsr-thumbnail").click()
    assert board.evaluate("sought") == [pytest.approx(2.3, abs=1e-3)]
    assert complaints == []


def test_keys_in_the_editor_are_not_the_canvas_s(board: Page) -> None:
    build(board, captions="")
    board.evaluate(SET, ["captions", TIMED])
    text = rows(board).nth(0).locator("textarea")
    text.click()
    text.press("End")
    text.press("Backspace")
    text.press("r")
    text.press("Delete")
    assert parse_text(field(board)).cues[0].text == "a walr"
    assert board.evaluate("app.graph.nodes.length") == 2


def test_nodes_drawn_as_html_show_the_editor_too(board: Page, complaints: list[str]) -> None:
    """The host's own list of such a node's widgets stands still after the first change of a value."""
    board.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    try:
        build(board)
        board.evaluate(SET, ["captions", TIMED])
        inside = board.locator("[data-node-id] .textovsr-captions li")
        expect(inside).to_have_count(2)
        inside.nth(1).locator("textarea").fill("a gate")
        assert parse_text(field(board)).cues[1].text == "a gate"
    finally:
        board.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    assert complaints == []


def test_a_field_that_is_linked_is_not_edited(board: Page) -> None:
    build(board)
    board.evaluate(
        """() => {
            const text = LiteGraph.createNode("PrimitiveStringMultiline");
            app.graph.add(text);
            text.connect(0, tested, tested.inputs.findIndex((input) => input.name === "captions"));
            tested.onExecuted({ text: ["WEBVTT\\n\\n00:00.000 --> 00:01.000\\nx"] });
        }"""
    )
    expect(board.get_by_text("captions is connected to another node")).to_be_visible()
    expect(rows(board).locator("textarea")).to_be_disabled()
    board.evaluate("tested.disconnectInput(tested.inputs.findIndex((input) => input.name === 'captions'))")
    expect(rows(board).locator("textarea")).to_be_enabled()


def test_captions_of_other_nodes_are_edited_too(board: Page, complaints: list[str]) -> None:
    for kind in ("OVSR_TextOVSRUpscale", "OVSR_DiffusionRestore"):
        build(board, kind)
        board.evaluate(SET, ["caption", TIMED])
        expect(rows(board)).to_have_count(2)
        saved = board.evaluate("app.graph.serialize()")
        board.evaluate("async (graph) => app.loadGraphData(graph)", saved)
        expect(rows(board)).to_have_count(2)
        again = board.evaluate("app.graph.serialize()")
        assert [node.get("widgets_values") for node in again["nodes"]] == [
            node.get("widgets_values") for node in saved["nodes"]
        ]
        assert [node["size"] for node in again["nodes"]] == [node["size"] for node in saved["nodes"]]
    assert complaints == []
