// Caffe's Pooling of maxima on a CPU, planes shared among threads, windows side by side in vectors; the same bits. Other
// pooling is left to Caffe's own way.
#pragma once

#include <vector>

#include "caffe/layers/pooling_layer.hpp"

namespace caffe {

template <typename Dtype>
class PlanewisePoolingLayer : public PoolingLayer<Dtype> {
 public:
  explicit PlanewisePoolingLayer(const LayerParameter& param) : PoolingLayer<Dtype>(param) {}

 protected:
  virtual void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

 private:
  bool is_of_maxima(const vector<Blob<Dtype>*>& top) const;  // and does not give their places as a second top
};

}  // namespace caffe
