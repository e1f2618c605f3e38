// Caffe's Pooling on a GPU with a quicker gradient of the maximum; the same sums in the same order.
#pragma once

#include <vector>

#include "../cpu/pooling.hpp"

namespace caffe {

template <typename Dtype>
class QuickPoolingLayer : public PlanewisePoolingLayer<Dtype> {
 public:
  explicit QuickPoolingLayer(const LayerParameter& param) : PlanewisePoolingLayer<Dtype>(param) {}

 protected:
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
};

}  // namespace caffe
