"""Caffe itself stops at the files at which it is said to stop, and at no other."""

import pytest

from tests.prototxt_gen.bad_files import HDF5, MEANS, hdf5_net, image_net, write_images

pytestmark = pytest.mark.engine


def test_caffe_stops_where_it_is_said_to(in_caffe, tmp_path):
    nets = {}
    for case, (make, stops, _) in HDF5.items():
        if stops is not None:
            folder = tmp_path / f"hdf5 {case}".replace(" ", "-")
            folder.mkdir()
            make(folder)
            files = folder / "files.txt"
            files.write_text("".join(f"{folder}/{name}\n" for name in files.read_text().split()))
            nets[case, stops] = hdf5_net().replace("files.txt", str(files))
    write_images(tmp_path)
    images = tmp_path / "images.txt"
    images.write_text(images.read_text().replace("0.png", f"{tmp_path}/0.png").replace("1.png", f"{tmp_path}/1.png"))
    for number, (case, (make, stops, _)) in enumerate(MEANS.items()):
        mean = tmp_path / f"mean-{number}"
        make(mean)
        net = image_net(f"mean_file: '{mean}'").replace("images.txt", str(images))
        nets[f"mean: {case}", stops] = net
    made = in_caffe([(net, "TEST", ()) for net in nets.values()])
    assert {case: "refused" in answer for (case, _), answer in zip(nets, made)} == dict(nets.keys())
