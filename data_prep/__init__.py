"""Raw videos, images, captions and features to the inputs that Caffe reads: LMDB and HDF5."""


class DataError(ValueError):
    """One line for the user: the file or folder, what is wrong with it, and the mend."""


class CorruptImage(DataError):
    """An image of a data set that is there, and damaged."""


CORRUPT = "`lrcn verify` names all that are, and says what mends them"
