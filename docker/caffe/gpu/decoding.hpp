// Images decoded by several threads, in mended copies of Caffe's ImageData and Data layers: a GPU asks for thousands a
// second, and the thread in which Caffe reads ahead decodes some two thousand small ones.
//
// What is drawn at random is drawn in Caffe's order, by its own transformer, one image after the other.
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <opencv2/core/core.hpp>

#include "caffe/blob.hpp"
#include "caffe/data_transformer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe/util/io.hpp"

namespace lrcn {

// Calls work(i) for every i below `count`, in any order, on several threads.
template <typename Work>
void on_threads(int count, const Work& work) {
  std::atomic<int> next(0);
  const auto all = [&] {
    for (int i = next++; i < count; i = next++) work(i);
  };
  const int threads = std::min<int>({count, 16, static_cast<int>(std::thread::hardware_concurrency())});
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(all);
  all();
  for (auto& other : others) other.join();
}

// As ReadImageToCVMat(folder + lines[line].first, ...); `ahead` images from there on are read together, and kept for the
// calls that follow on the same thread.
inline cv::Mat read_ahead(const std::string& folder, const std::vector<std::pair<std::string, int>>& lines, int line,
                          int ahead, int height, int width, bool colour) {
  struct Image {
    std::string name;
    cv::Mat pixels;
  };
  thread_local std::deque<Image> of_this_thread;
  auto& images = of_this_thread;  // which the other threads fill
  const std::string& name = lines[line].first;
  while (!images.empty() && images.front().name != name) images.pop_front();
  if (images.empty()) {
    images.resize(std::min<int>(ahead, lines.size() - line));
    on_threads(images.size(), [&](int i) {
      images[i].name = lines[line + i].first;
      images[i].pixels = caffe::ReadImageToCVMat(folder + images[i].name, height, width, colour);
    });
  }
  return images.front().pixels;
}

// The records of the batch that this thread is making.
inline std::vector<caffe::Datum>& records() {
  thread_local std::vector<caffe::Datum> kept;
  return kept;
}

// As Transform(record, ...) for each of `records`, into a batch; `one` is the layer's blob for one of them.
template <typename Dtype>
void transform(const caffe::TransformationParameter& param, caffe::DataTransformer<Dtype>& transformer,
               caffe::Blob<Dtype>& batch, caffe::Blob<Dtype>& one) {
  const auto& kept = records();
  std::vector<cv::Mat> images(kept.size());
  on_threads(kept.size(), [&](int i) {
    if (!kept[i].encoded()) return;
    const bool as_asked = param.force_color() || param.force_gray();
    images[i] = as_asked ? caffe::DecodeDatumToCVMat(kept[i], param.force_color())
                         : caffe::DecodeDatumToCVMatNative(kept[i]);
  });
  Dtype* data = batch.mutable_cpu_data();
  for (int i = 0; i < static_cast<int>(kept.size()); ++i) {
    one.set_cpu_data(data + batch.offset(i));
    if (kept[i].encoded())
      transformer.Transform(images[i], &one);
    else
      transformer.Transform(kept[i], &one);
  }
  records().clear();
}

}  // namespace lrcn
