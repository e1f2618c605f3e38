// Caffe's Embed on a GPU with a gradient that adds in one order, that of CPUs: Caffe's own adds atomically.
#pragma once

#include <vector>

#include "caffe/layers/embed_layer.hpp"

namespace caffe {

template <typename Dtype>
class OrderedEmbedLayer : public EmbedLayer<Dtype> {
 public:
  explicit OrderedEmbedLayer(const LayerParameter& param) : EmbedLayer<Dtype>(param) {}

 protected:
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

 private:
  Blob<int> links_;  // (2, words): whether a word is the first of its kind in the batch; where the next one is, or -1
};

}  // namespace caffe
