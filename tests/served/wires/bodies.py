"""A rich request in the form of each wire: most of what it takes, and a conversation of several turns."""

from collections.abc import Mapping
from typing import Any

from tests.served.wires.replies import CALL, CITY, TOOL

__all__ = ["BODIES"]

_PNG = "iVBORw0KGgo="
_SAMPLING = {"temperature": 0.5, "top_p": 0.9}
_USE = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}
_IMAGE = {"type": "base64", "media_type": "image/png", "data": _PNG}

BODIES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "chat": (
        "/v1/chat/completions",
        {
            "model": "m",
            "max_tokens": 9,
            "seed": 7,
            "stop": ["END"],
            "logit_bias": {"5": 1},
            "stream": True,
            **_SAMPLING,
            "stream_options": {"include_usage": True},
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": CITY}},
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}", "detail": "low"}},
                        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,J"}},
                    ],
                },
                {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
            ],
        },
    ),
    "responses": (
        "/v1/responses",
        {
            "model": "m",
            "instructions": "Be brief.",
            "max_output_tokens": 9,
            "stream": True,
            **_SAMPLING,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "x", "schema": CITY}, "verbosity": "low"},
            "tools": [{"type": "function", "name": "weather", "parameters": CITY, "strict": True}],
            "tool_choice": {"type": "function", "name": "weather"},
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "hi"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{_PNG}", "detail": "low"},
                        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,J"},
                    ],
                },
                {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
                {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
            ],
        },
    ),
    "anthropic": (
        "/v1/messages",
        {
            "model": "m",
            "max_tokens": 9,
            "top_k": 5,
            "stop_sequences": ["END"],
            "stream": True,
            **_SAMPLING,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": CITY}},
            "tools": [{"name": "weather", "description": "The weather.", "input_schema": CITY}],
            "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": _IMAGE}],
                },
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, _USE],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sun", "is_error": True}],
                },
            ],
        },
    ),
    "ollama": (
        "/api/chat",
        {
            "model": "m",
            "stream": True,
            "think": "low",
            "format": CITY,
            "tools": [TOOL],
            "keep_alive": "5m",
            "options": {"num_predict": 9, "seed": 7, "top_k": 5, "stop": ["END"], "num_ctx": 512, **_SAMPLING},
            "messages": [
                {"role": "user", "content": "hi", "images": [_PNG]},
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "Hm.",
                    "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
                },
                {"role": "tool", "tool_name": "weather", "content": "sun"},
            ],
        },
    ),
    "gemini": (
        "/v1beta/models/m:generateContent",
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "generationConfig": {
                "maxOutputTokens": 9,
                "temperature": 0.5,
                "topP": 0.9,
                "top_k": 5,
                "seed": 7,
                "stopSequences": ["END"],
                "responseMimeType": "application/json",
                "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING", "nullable": True}}},
                "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
            },
            "tools": [{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": _PNG}}]},
                {
                    "role": "model",
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}},
                    ],
                },
                {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "sun"}}}]},
            ],
        },
    ),
}
