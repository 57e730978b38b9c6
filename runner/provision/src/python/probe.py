import json, os, platform, sys, sysconfig
from importlib.util import find_spec


def libc():
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        return name + "-" + version
    except (AttributeError, OSError, ValueError):
        pass
    loaders = [name for folder in ("/lib",) if os.path.isdir(folder) for name in os.listdir(folder)]
    if any(name.startswith("ld-musl-") for name in loaders):
        return "musl-" + (platform.libc_ver()[1] or "1")
    return "-".join(part for part in platform.libc_ver() if part)


def full_version(info):
    version = "{0.major}.{0.minor}.{0.micro}".format(info)
    kind = info.releaselevel
    return version if kind == "final" else version + kind[0] + str(info.serial)


def folder_of(name):
    spec = find_spec(name)
    return os.path.dirname(spec.origin) if spec and spec.origin else None


def virtual_environment():
    """What a virtual environment on this interpreter looks like (PEP 405), for the one implementation whose own `venv` does
    nothing but write it down."""
    if sys.implementation.name != "cpython" or os.name != "posix":
        return None
    base = getattr(sys, "_base_executable", None) or sys.executable
    # A name without a version may lead to another interpreter after an update of the system.
    real = os.path.realpath(base)
    if os.path.dirname(os.path.dirname(real)) == os.path.realpath(sys.base_prefix):
        base = real
    scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
    places = {"base": "", "platbase": "", "installed_base": "", "installed_platbase": ""}
    return {
        "base_executable": os.path.abspath(base),
        "site_packages": sysconfig.get_path("purelib", scheme, places).strip("/"),
        "has_lib64": sys.maxsize > 2**32 and sys.platform != "darwin",
    }


ensurepip = folder_of("ensurepip")
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "soabi": sysconfig.get_config_var("SOABI") or "",
    "libc": libc(),
    "platform": sysconfig.get_platform(),
    "executable": os.path.abspath(sys.executable),
    "base_prefix": sys.base_prefix,
    "has_venv": find_spec("venv") is not None,
    "has_ensurepip": ensurepip is not None,
    "virtual_environment": virtual_environment(),
    "wheel_folders": [folder for folder in (
        ensurepip and os.path.join(ensurepip, "_bundled"),
        sysconfig.get_config_var("WHEEL_PKG_DIR"),
    ) if folder],
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": full_version(sys.implementation.version),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    },
}))
