"""What a reader needs to judge a latency of a phone: which phone, how warm, at which clock."""

from __future__ import annotations

import re
from typing import Any

from phone.adb import Adb

_PROPERTIES = {
    "manufacturer": "ro.product.manufacturer",
    "model": "ro.product.model",
    "soc": "ro.soc.model",
    "platform": "ro.board.platform",
    "android": "ro.build.version.release",
    "abi": "ro.product.cpu.abi",
}

_IDENTITY = "\n".join(f'echo "{key}=$(getprop {name})"' for key, name in _PROPERTIES.items())

_STATE = """
dumpsys battery 2>/dev/null | grep -E 'temperature|level|powered'
for zone in /sys/class/thermal/thermal_zone*; do
    [ -r $zone/temp ] && echo "zone $(cat $zone/type) $(cat $zone/temp 2>/dev/null)"
done
dumpsys thermalservice 2>/dev/null | grep 'mValue='
for core in /sys/devices/system/cpu/cpu[0-9]*; do
    for key in scaling_governor scaling_cur_freq scaling_min_freq scaling_max_freq; do
        [ -r $core/cpufreq/$key ] && echo "core ${core##*/} $key $(cat $core/cpufreq/$key 2>/dev/null)"
    done
done
echo "load $(cat /proc/loadavg 2>/dev/null)"
"""


def identity(adb: Adb) -> dict[str, str]:
    """Maker, model, chip, Android version and ABI; what the device does not tell is left out."""
    lines = adb.shell(_IDENTITY, what="reading the model").out.splitlines()
    pairs = (line.partition("=") for line in lines)
    return {key: value.strip() for key, _, value in pairs if key in _PROPERTIES and value.strip()}


def title(found: dict[str, str]) -> str:
    """One line for tables, '' when nothing is known: 'SM8150 (Xiaomi MI 9)'."""
    chip = found.get("soc") or found.get("platform", "")
    phone = " ".join(found[key] for key in ("manufacturer", "model") if key in found)
    return f"{chip} ({phone})" if chip and phone else chip or phone


def state(adb: Adb) -> dict[str, Any]:
    """Temperatures, charge, governors, frequencies and load right now; what the device does not tell is left out."""
    return parse_state(adb.shell(_STATE, what="reading temperatures and frequencies").out)


def parse_state(text: str) -> dict[str, Any]:
    """`state` from what the device printed."""
    found: dict[str, Any] = {"battery": {}, "thermal_c": {}, "governors": {}, "mhz": {}}
    services: dict[str, float] = {}
    for line in text.splitlines():
        words = line.split()
        battery = re.match(r" *(temperature|level): (-?\d+)$", line)
        service = re.search(r"mValue=([\d.]+).*?mName=([^,}]+)", line)
        if battery:
            number = int(battery.group(2))
            hot = battery.group(1) == "temperature"
            found["battery"].update({"temperature_c": number / 10} if hot else {"percent": number})
        elif re.match(r" *\w+ powered: true$", line):
            found["battery"]["charging"] = True
        elif words[:1] == ["zone"] and len(words) == 3:
            _note(found["thermal_c"], words[1], words[2])
        elif service:
            _note(services, service.group(2), service.group(1))
        elif words[:1] == ["core"] and len(words) == 4:
            _, core, key, value = words
            if key == "scaling_governor":
                found["governors"][core] = value
            elif value.isdigit():
                found["mhz"].setdefault(core, {})[key.split("_")[1]] = int(value) // 1000
        elif words[:1] == ["load"] and len(words) > 1:
            found["load"] = float(words[1])
    found["thermal_c"] = found["thermal_c"] or services  # Android 10 and later hide the zones from the shell
    return {key: value for key, value in found.items() if value != {}}


def hottest(found: dict[str, Any]) -> float | None:
    """The highest temperature of a state, degrees Celsius; None when it has none."""
    values = [*found.get("thermal_c", {}).values(), found.get("battery", {}).get("temperature_c")]
    return max((value for value in values if value is not None), default=None)


def _note(zones: dict[str, float], name: str, text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        return
    degrees = value / 1000 if abs(value) >= 1000 else value
    if 0 < degrees < 130:  # sensors that are off answer zero, -40 or some large number
        zones[name] = max(round(degrees, 1), zones.get(name, 0.0))
