// Caffe's Softmax by cuDNN. Where a row lies in one piece cuDNN is told so: its mode for channels, which Caffe asks
// for, takes many times as long over the words of a vocabulary.
#pragma once

#ifdef USE_CUDNN
#include <vector>

#include "caffe/layers/cudnn_softmax_layer.hpp"

namespace caffe {

template <typename Dtype>
class RowSoftmaxLayer : public CuDNNSoftmaxLayer<Dtype> {
 public:
  explicit RowSoftmaxLayer(const LayerParameter& param) : CuDNNSoftmaxLayer<Dtype>(param) {}

 protected:
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);
};

}  // namespace caffe
#endif
