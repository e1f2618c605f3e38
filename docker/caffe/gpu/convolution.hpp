// Caffe's Convolution on a GPU, all images of a batch at once, by whichever algorithm is quickest.
#pragma once

#include <vector>

#include "../cpu/convolution.hpp"
#include "algorithms.hpp"

namespace caffe {

template <typename Dtype>
class TunedConvolutionLayer : public BlockedConvolutionLayer<Dtype> {
 public:
  explicit TunedConvolutionLayer(const LayerParameter& param) : BlockedConvolutionLayer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);

 protected:
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

 private:
  void Convolve(lrcn::Direction direction, const Dtype* first, const Dtype* second, Dtype* out);
  void AddBiasGradient(const Dtype* top_diff);

  lrcn::Geometry geometry_;
  std::shared_ptr<lrcn::Algorithm<Dtype>> algorithm_[3];  // by direction
  Blob<Dtype> ones_, sums_;                               // for the gradient of the bias
};

}  // namespace caffe
