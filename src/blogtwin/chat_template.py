"""Chat templates: the exact text a model sees, in training and in service.

A base model's own template may put today's date or a hidden system prompt into every conversation, so that
training and service would drift apart. Blogtwin therefore trains with a pinned template of the model's family,
keeps that Jinja beside the adapter and inside the GGUF, and gives Ollama a Go template that renders the same
text. The deploy stage proves the two equal; nothing here is taken on trust.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from blogtwin.errors import ModelError
from blogtwin.records import Message


@dataclass(frozen=True)
class ChatTemplate:
    """One family's conversation format.

    jinja: what training renders, also written into the GGUF. go: what Ollama renders.
    stop: texts that end an answer. bos: the text every prompt begins with ("" for none). answer_begin: what the model
    writes before an answer's first word; turn_end: what it writes after the last.
    """

    name: str
    jinja: str
    go: str
    stop: tuple[str, ...]
    bos: str
    turn_end: str
    answer_begin: str = ""

    @cached_property
    def _compiled(self) -> Template:
        return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(self.jinja)

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text up to where the assistant's answer begins."""
        return self._compiled.render(
            messages=[message.model_dump() for message in messages], bos_token=self.bos, add_generation_prompt=True
        )

    def answer(self, text: str) -> str:
        """An assistant's answer as it stands in the training text, from its first token to its end marker."""
        return self.answer_begin + text + self.turn_end


LLAMA3 = ChatTemplate(
    name="llama3",
    jinja=(
        "{{ bos_token }}{% for message in messages %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
    ),
    go=(
        "<|begin_of_text|>{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n"
        "{{ .Content }}<|eot_id|>{{- end }}<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    stop=("<|eot_id|>", "<|end_of_text|>", "<|start_header_id|>"),
    bos="<|begin_of_text|>",
    turn_end="<|eot_id|>",
)

CHATML = ChatTemplate(
    name="chatml",
    jinja=(
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    go=("{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"),
    stop=("<|im_end|>", "<|endoftext|>", "<|im_start|>"),
    bos="",
    turn_end="<|im_end|>",
)

# Gemma has no role for a system prompt: it stands before the first question.
GEMMA = ChatTemplate(
    name="gemma",
    jinja=(
        "{{ bos_token }}{% set first = namespace(text='') %}{% for message in messages %}"
        "{% if message['role'] == 'system' %}"
        "{% set first.text = message['content'] + '\\n\\n' if message['content'] else '' %}"
        "{% elif message['role'] == 'assistant' %}"
        "{{ '<start_of_turn>model\\n' + message['content'] + '<end_of_turn>\\n' }}"
        "{% else %}"
        "{{ '<start_of_turn>user\\n' + first.text + message['content'] + '<end_of_turn>\\n' }}"
        "{% set first.text = '' %}"
        "{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
    ),
    go=(
        '<bos>{{ $first := "" }}{{ range .Messages }}'
        '{{ if eq .Role "system" }}{{ $first = .Content }}'
        '{{ else if eq .Role "assistant" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n'
        "{{ else }}<start_of_turn>user\n{{ if $first }}{{ $first }}\n\n{{ end }}{{ .Content }}<end_of_turn>\n"
        '{{ $first = "" }}{{ end }}{{ end }}<start_of_turn>model\n'
    ),
    stop=("<end_of_turn>", "<eos>", "<start_of_turn>"),
    bos="<bos>",
    turn_end="<end_of_turn>",
)


def _mistral(name: str, space: str) -> ChatTemplate:
    """Mistral's format, with the spaces of its SentencePiece vocabularies or without them, as in tekken.

    The system prompt stands before the first question (Mistral's own puts it before the last one: the same in one turn).
    """
    return ChatTemplate(
        name=name,
        jinja=(
            "{{ bos_token }}{% set first = namespace(text='') %}{% for message in messages %}"
            "{% if message['role'] == 'system' %}"
            "{% set first.text = message['content'] + '\\n\\n' if message['content'] else '' %}"
            "{% elif message['role'] == 'assistant' %}"
            f"{{{{ '{space}' + message['content'] + '</s>' }}}}"
            "{% else %}"
            f"{{{{ '[INST]{space}' + first.text + message['content'] + '[/INST]' }}}}"
            "{% set first.text = '' %}"
            "{% endif %}{% endfor %}"
        ),
        go=(
            '<s>{{ $first := "" }}{{ range .Messages }}'
            '{{ if eq .Role "system" }}{{ $first = .Content }}'
            f'{{{{ else if eq .Role "assistant" }}}}{space}{{{{ .Content }}}}</s>'
            f"{{{{ else }}}}[INST]{space}{{{{ if $first }}}}{{{{ $first }}}}\n\n{{{{ end }}}}{{{{ .Content }}}}[/INST]"
            '{{ $first = "" }}{{ end }}{{ end }}'
        ),
        stop=("</s>", "[INST]"),
        bos="<s>",
        turn_end="</s>",
        answer_begin=space,
    )


MISTRAL = _mistral("mistral", " ")
MISTRAL_TEKKEN = _mistral("mistral-tekken", "")

TEMPLATES = {template.name: template for template in (LLAMA3, CHATML, GEMMA, MISTRAL, MISTRAL_TEKKEN)}


def template_for(vocabulary: Collection[str]) -> ChatTemplate:
    """The family whose markers are single tokens of `vocabulary`. Raises ModelError when there is none."""
    if "<|start_header_id|>" in vocabulary:
        return LLAMA3
    if "<|im_start|>" in vocabulary:
        return CHATML
    if "<start_of_turn>" in vocabulary:
        return GEMMA
    if "[INST]" in vocabulary:
        return MISTRAL if "<0x0A>" in vocabulary else MISTRAL_TEKKEN  # a byte to fall back on: SentencePiece's
    raise ModelError(
        f"the base model's tokenizer has the chat markers of no family that blogtwin can prove ({', '.join(TEMPLATES)})",
        "choose an instruct model of the Llama 3, SmolLM2, Qwen, Gemma 3 or Mistral family: blogtwin finetune --help",
    )
