// Caffe's LSTM on a GPU, a product of matrices and a kernel at each step.
#pragma once

#include <vector>

#include "caffe/layers/lstm_layer.hpp"

namespace caffe {

// Weights, shapes, state from batch to batch and the way on CPUs are Caffe's, whose LSTM is a net of some ten small
// layers a step; the equations are the same (lstm_unit_layer.cu, and `FillUnrolledNet` in lstm_layer.cpp).
// T steps of N streams, D units, gates in the order i, f, o, g.
template <typename Dtype>
class FusedLSTMLayer : public LSTMLayer<Dtype> {
 public:
  explicit FusedLSTMLayer(const LayerParameter& param) : LSTMLayer<Dtype>(param) {}
  virtual void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);

 protected:
  virtual void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top);
  virtual void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                            const vector<Blob<Dtype>*>& bottom);

 private:
  const Blob<Dtype>& hidden_weights() const { return *this->blobs_.back(); }
  void TakeState();
  void BackwardSteps(const Dtype* cont, const Dtype* top_diff);
  void BackwardStatic(Blob<Dtype>* input, bool propagate_down);

  vector<int> input_shape_, static_shape_;  // those that everything is sized for
  Blob<Dtype> gates_;                       // (T, N, 4 D); their gradients are those of what goes into them
  Blob<Dtype> static_gates_;                // (N, 4 D)
  Blob<Dtype> cells_;                       // (T, N, D)
  Blob<Dtype> continued_;                   // (T, N, D) the state before each step, 0 where a sequence begins
  Blob<Dtype> state_;                       // (2, N, D) gradients: of `continued_`, of the cell before a step
  Blob<Dtype> ones_;                        // (T * N,)
};

}  // namespace caffe
