"""Texts as people and programs write them: in many scripts, with emoji, marks and code, of any length."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tests.simulation.accepted import SECRET_WORD

if TYPE_CHECKING:
    from random import Random

_MOST_BYTES: Final = 16_384
_REFUSED_BY_SQS: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_SCRIPTS: Final = (
    (" ", "the parcel is on its way and your order number was changed yesterday by mistake"),
    (" ", "Grüße aus Köln: die Straße ist gesperrt, Ärger über Öl – „naïve“ Façade"),
    (" ", "Η παραγγελία σας είναι έτοιμη καθ’ οδόν"),
    (" ", "Ваша посылка уже в пути, ёлки-палки! Спасибо."),
    (" ", "الطرد في الطريق إليك؟ شُكْرًا جَزِيلًا"),
    (" ", "הַחֲבִילָה בַּדֶּרֶךְ אֵלֶיךָ תודה"),
    (" ", "आपका पार्सल रास्ते में है। क्षत्रिय श्री"),
    (" ", "আপনার পার্সেল পথে আছে। ধন্যবাদ"),
    (" ", "உங்கள் பார்சல் வழியில் உள்ளது ஸ்ரீ"),
    ("", "พัสดุของคุณกำลังเดินทาง ขอบคุณค่ะ น้ำ ที่"),
    ("", "កញ្ចប់របស់អ្នកកំពុងធ្វើដំណើរ"),
    ("", "お荷物は 配送中です。 ありがとう ございます！ 「はい。」 パパ"),
    ("", "您的包裹 正在 路上。 谢谢！ 好的？"),
    (" ", "소포가 배송 중입니다 \u1112\u1161\u11ab\u1100\u1173\u11af 감사합니다"),
    (
        "",
        "👨\u200d👩\u200d👧\u200d👦 🇩🇪 🇫🇷 👍🏽 1️⃣ ❤️ 🚚 𝒜 𠮷 🏴\U000e0067\U000e0062\U000e007f",
    ),
    (" ", "e\u0301 z\u0335\u0322\u031b\u0300\u0301 \u200d a\u00a0b \u202eabc x\u2060y \ufeff"),
    (" ", '`code` **bold** 1. https://example.com/a?b=c&d=%20 C:\\temp "quoted" </script>'),
)
"""What stands between two words, and words."""
_PAUSES: Final = ("\n", "\r\n", "\n\n", "\r\n\r\n", ". ", "! ", "\t", "\u2028", "\n    ", "\n- ", "\n\n\n")
_CODE: Final = "\n```python\ndef f(x):\n    return x  # one line\n\n    # another\n```\n"
_CONTROL: Final = "\x00\x07\x1b\x7f\ufffe\u0085"


class Writer:
    """Writes texts. Each begins with its secret number, if it is long enough."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def text(self, number: int, length: int) -> str:
        """Return a text of exactly so many characters. One of a single character has no number."""
        if length < len(opening := f"{SECRET_WORD}{number} "):
            return self._random.choice(["k", "?", "ß", "🚚", "\n", " ", "0"])[:length] or "k"
        text = self._begin(opening, length)
        if self._random.random() < 0.02:
            text = text[:-1] + self._random.choice(_CONTROL)
        return text

    def long_text(self, number: int, length: int) -> str:
        """Return a text of about so many characters, with paragraphs, lines, lists and code."""
        random, opening = self._random, f"{SECRET_WORD}{number} "
        text = opening
        while len(text) < length:
            text += self._words(random.randint(1, 60))
            text += _CODE if random.random() < 0.1 else random.choice(_PAUSES)
        return text[: max(length, len(opening))]

    def json(self, number: int, length: int) -> str:
        """Return JSON text of so many characters, or as many bytes as a message may have."""
        rest = self._words(length)[:length]
        while True:
            data = {"text": f"{SECRET_WORD}{number} {rest}"}
            text = json.dumps({"templateType": "QuickReply", "data": data}, ensure_ascii=False)
            size = len(text.encode())
            if not rest or (len(text) <= length and size <= _MOST_BYTES):
                return text + " " * min(length - len(text), _MOST_BYTES - size)
            rest = rest[: len(rest) // 2]

    def _begin(self, opening: str, length: int) -> str:
        text = opening
        while len(text) < length:
            text += self._words(self._random.randint(3, 40)) + " "
        return text[:length]

    def _words(self, count: int) -> str:
        space, words = self._random.choice(_SCRIPTS)
        return space.join(self._random.choices(words.split(" "), k=count))

    @staticmethod
    def is_accepted_by_sqs(text: str) -> bool:
        """Return whether SQS accepts a text as the body of a message."""
        return _REFUSED_BY_SQS.search(text) is None
