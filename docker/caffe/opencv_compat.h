// OpenCV 4 keeps the constants of its old C interface in headers apart, and dropped some: Caffe still uses them.
// (Included before each of Caffe's sources that names one.)
#pragma once
#include <opencv2/imgcodecs/legacy/constants_c.h>
#include <opencv2/imgproc/types_c.h>
#include <opencv2/videoio/legacy/constants_c.h>
#include <opencv2/videoio.hpp>

#ifndef CV_FILLED
#define CV_FILLED cv::FILLED
#endif
#ifndef CV_FOURCC
#define CV_FOURCC cv::VideoWriter::fourcc
#endif
