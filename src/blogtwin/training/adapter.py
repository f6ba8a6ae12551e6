"""The adapter folder by its earlier address; it is read and written in blogtwin.adapter_folder."""

from blogtwin.adapter_folder import (
    CARD as CARD,
    FILES as FILES,
    OWN_BASE as OWN_BASE,
    WEIGHTS as WEIGHTS,
    Adapter as Adapter,
    load as load,
    promote as promote,
    work_folder as work_folder,
)
