"""A folder that tells of every module which is imported from it."""

from pathlib import Path

NAMES = (
    *("json", "numpy", "cv2", "caffe", "lrcn", "data_prep", "readers", "runpy", "pkgutil", "multiprocessing", "pip"),
    *("sitecustomize", "usercustomize", "signal", "socket", "struct", "google", "h5py", "lmdb", "clip_loader", "six"),
)


def trap(folder: Path) -> Path:
    """Fills a folder with modules, and packages, that write their names into a file when they are executed; gives that
    file."""
    told = folder / "executed"
    program = f"open({str(told)!r}, 'a').write(__name__ + chr(10))\n"
    for name in NAMES:
        (folder / f"{name}.py").write_text(program)
    for name in "caffe", "google", "simplejpeg":
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(program)
    return told
