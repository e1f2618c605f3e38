// Caffe's Convolution on a CPU, in blocks that fit the caches, the blocks shared among threads.
#pragma once

#include <vector>

#include "caffe/layers/conv_layer.hpp"

namespace lrcn {

const int few_tasks = 8;  // at least, of a layer: for several threads to share

struct Axis {
  int size, out, kernel, pad, stride, dilation;
};

// One layer's sizes; all of a group are those of each of its groups.
struct ConvolutionSizes {
  Axis y, x;
  int images, groups, channels, outputs;  // channels and outputs of a group
  bool is_product;                        // kernels of one value, one place each: the images are the columns

  int kernel() const { return y.kernel * x.kernel; }
  int rows() const { return channels * kernel(); }  // of the columns of a group, and values of a filter
  int in_plane() const { return y.size * x.size; }
  int out_plane() const { return y.out * x.out; }
  size_t in_group() const { return static_cast<size_t>(channels) * in_plane(); }
  size_t out_group() const { return static_cast<size_t>(outputs) * out_plane(); }
  size_t weights_group() const { return static_cast<size_t>(outputs) * rows(); }
  // So much of `all` of an image's group as leaves a few tasks where there are few images.
  int share(int all) const { return std::max(1, all * images * groups / few_tasks); }
  double products() const { return static_cast<double>(images) * groups * weights_group() * out_plane(); }
};

}  // namespace lrcn

namespace caffe {

// Sums are added in an order that depends on the shapes alone, not on the threads.
template <typename Dtype>
class BlockedConvolutionLayer : public ConvolutionLayer<Dtype> {
 public:
  explicit BlockedConvolutionLayer(const LayerParameter& param) : ConvolutionLayer<Dtype>(param) {}

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
  bool is_flat() const;  // two spatial axes: others are left to Caffe's own way

 private:
  bool is_ours(const Blob<Dtype>& image, const Blob<Dtype>& out) const;  // flat, and not without images or places
  lrcn::ConvolutionSizes sizes() const;
};

}  // namespace caffe
