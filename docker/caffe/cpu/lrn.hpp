// Caffe's LRN across channels on a CPU, pieces of the images shared among threads, places side by side in vectors. Its
// powers of 0.75 are square roots of square roots: other than Caffe's in the last bits. LRN within a channel, and that
// in place, are left to Caffe's own way.
#pragma once

#include <vector>

#include "caffe/layers/lrn_layer.hpp"

namespace caffe {

template <typename Dtype>
class PiecewiseLRNLayer : public LRNLayer<Dtype> {
 public:
  explicit PiecewiseLRNLayer(const LayerParameter& param) : LRNLayer<Dtype>(param) {}

 protected:
  virtual void CrossChannelForward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void CrossChannelBackward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                        const vector<Blob<Dtype>*>& bottom);

 private:
  // Calls work(begin, places) for pieces of the images: the first of its places in a blob, and how many there are; a
  // channel further, they lie height * width further.
  template <typename Work>
  void each_piece(const Work& work) const;
};

}  // namespace caffe
