#include "lstm.hpp"

#include <vector>

#include "caffe/util/math_functions.hpp"

namespace caffe {

namespace {

template <typename Dtype>
__device__ Dtype logistic(const Dtype x) {
  return Dtype(1) / (Dtype(1) + exp(-x));
}

// As Caffe's own unit has it, so that rounding is the same.
template <typename Dtype>
__device__ Dtype hyperbolic(const Dtype x) {
  return Dtype(2) * logistic(Dtype(2) * x) - Dtype(1);
}

template <typename Dtype>
__global__ void ContinueState(const int count, const int dim, const Dtype* cont, const Dtype* state,
                              Dtype* continued) {
  CUDA_KERNEL_LOOP(index, count) { continued[index] = cont[index / dim] * state[index]; }
}

// gates: what the weights make of input and state; becomes the gates. next: of the step after, or null.
template <typename Dtype>
__global__ void StepForward(const int count, const int dim, const Dtype* bias, const Dtype* static_gates,
                            const Dtype* cont, const Dtype* cell_before, const Dtype* next_cont, Dtype* gates,
                            Dtype* cell, Dtype* hidden, Dtype* next_continued) {
  CUDA_KERNEL_LOOP(index, count) {
    const int n = index / dim, d = index % dim;
    Dtype* gate = gates + 4 * dim * n + d;
    const Dtype* of_static = static_gates ? static_gates + 4 * dim * n + d : nullptr;
    Dtype in[4];
    for (int k = 0; k < 4; ++k)
      in[k] = gate[k * dim] + bias[k * dim + d] + (of_static ? of_static[k * dim] : Dtype(0));
    const Dtype i = logistic(in[0]), f = logistic(in[1]), o = logistic(in[2]), g = hyperbolic(in[3]);
    const Dtype c = cont[n] * f * cell_before[index] + i * g;
    const Dtype h = o * hyperbolic(c);
    gate[0] = i;
    gate[dim] = f;
    gate[2 * dim] = o;
    gate[3 * dim] = g;
    cell[index] = c;
    hidden[index] = h;
    if (next_cont) next_continued[index] = next_cont[n] * h;
  }
}

// next_cont: of the step after, or null; state_diff: of what went on to it; cell_diff: of the cell after this step,
// becomes that of the one before.
template <typename Dtype>
__global__ void StepBackward(const int count, const int dim, const Dtype* gates, const Dtype* cell,
                             const Dtype* cell_before, const Dtype* cont, const Dtype* next_cont,
                             const Dtype* top_diff, const Dtype* state_diff, Dtype* cell_diff, Dtype* gates_diff) {
  CUDA_KERNEL_LOOP(index, count) {
    const int n = index / dim, d = index % dim;
    const Dtype* gate = gates + 4 * dim * n + d;
    Dtype* gate_diff = gates_diff + 4 * dim * n + d;
    const Dtype i = gate[0], f = gate[dim], o = gate[2 * dim], g = gate[3 * dim];
    const Dtype tanh_c = hyperbolic(cell[index]);
    const Dtype h_diff = top_diff[index] + (next_cont ? next_cont[n] * state_diff[index] : Dtype(0));
    const Dtype c_diff = (next_cont ? cell_diff[index] : Dtype(0)) + h_diff * o * (Dtype(1) - tanh_c * tanh_c);
    gate_diff[0] = c_diff * g * i * (Dtype(1) - i);
    gate_diff[dim] = cont[n] * c_diff * cell_before[index] * f * (Dtype(1) - f);
    gate_diff[2 * dim] = h_diff * tanh_c * o * (Dtype(1) - o);
    gate_diff[3 * dim] = c_diff * i * (Dtype(1) - g * g);
    cell_diff[index] = cont[n] * c_diff * f;
  }
}

}  // namespace

// Caffe's own reshapes every layer of its net before every batch.
template <typename Dtype>
void FusedLSTMLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const vector<int> static_shape = this->static_input_ ? bottom[2]->shape() : vector<int>();
  const bool same = input_shape_ == bottom[0]->shape() && static_shape_ == static_shape;
  if (same && Caffe::mode() == Caffe::GPU && !this->expose_hidden_) return;
  LSTMLayer<Dtype>::Reshape(bottom, top);
  input_shape_ = bottom[0]->shape();
  static_shape_ = static_shape;
  const int T = this->T_, N = this->N_, D = this->layer_param_.recurrent_param().num_output();
  gates_.Reshape({T, N, 4 * D});
  if (this->static_input_) static_gates_.Reshape({N, 4 * D});
  cells_.Reshape({T, N, D});
  continued_.Reshape({T, N, D});
  state_.Reshape({2, N, D});
  ones_.Reshape({T * N});
  caffe_set(ones_.count(), Dtype(1), ones_.mutable_cpu_data());
}

// The state that the batch before has left, unless it is a bottom.
template <typename Dtype>
void FusedLSTMLayer<Dtype>::TakeState() {
  if (this->expose_hidden_) return;
  for (size_t i = 0; i < this->recur_input_blobs_.size(); ++i)
    caffe_copy(this->recur_input_blobs_[i]->count(), this->recur_output_blobs_[i]->gpu_data(),
               this->recur_input_blobs_[i]->mutable_gpu_data());
}

template <typename Dtype>
void FusedLSTMLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const int T = this->T_, N = this->N_, D = cells_.shape(2), step = N * D;
  const Dtype *cont = bottom[1]->gpu_data(), *bias = this->blobs_[1]->gpu_data(), *static_gates = nullptr;
  TakeState();
  Dtype *gates = gates_.mutable_gpu_data(), *cells = cells_.mutable_gpu_data();
  Dtype *continued = continued_.mutable_gpu_data(), *hidden = top[0]->mutable_gpu_data();

  caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasTrans, T * N, 4 * D, bottom[0]->count(2), 1, bottom[0]->gpu_data(),
                        this->blobs_[0]->gpu_data(), 0, gates);
  if (this->static_input_) {
    caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasTrans, N, 4 * D, bottom[2]->count(1), 1, bottom[2]->gpu_data(),
                          this->blobs_[2]->gpu_data(), 0, static_gates_.mutable_gpu_data());
    static_gates = static_gates_.gpu_data();
  }
  ContinueState<Dtype><<<CAFFE_GET_BLOCKS(step), CAFFE_CUDA_NUM_THREADS>>>(
      step, D, cont, this->recur_input_blobs_[0]->gpu_data(), continued);
  CUDA_POST_KERNEL_CHECK;
  const Dtype* cell_before = this->recur_input_blobs_[1]->gpu_data();
  for (int t = 0; t < T; ++t) {
    const bool last = t + 1 == T;
    caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasTrans, N, 4 * D, D, 1, continued + t * step,
                          hidden_weights().gpu_data(), 1, gates + 4 * t * step);
    StepForward<Dtype><<<CAFFE_GET_BLOCKS(step), CAFFE_CUDA_NUM_THREADS>>>(
        step, D, bias, static_gates, cont + t * N, cell_before, last ? nullptr : cont + (t + 1) * N,
        gates + 4 * t * step, cells + t * step, hidden + t * step, last ? nullptr : continued + (t + 1) * step);
    CUDA_POST_KERNEL_CHECK;
    cell_before = cells + t * step;
  }
  const Dtype* outcome[] = {hidden + (T - 1) * step, cells + (T - 1) * step};
  for (int i = 0; i < 2; ++i) {
    caffe_copy(step, outcome[i], this->recur_output_blobs_[i]->mutable_gpu_data());
    if (this->expose_hidden_) top[1 + i]->ShareData(*this->recur_output_blobs_[i]);
  }
}

template <typename Dtype>
void FusedLSTMLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  CHECK(!propagate_down[1]) << "Cannot backpropagate to sequence indicators.";
  const int rows = this->T_ * this->N_, D = cells_.shape(2), inputs = bottom[0]->count(2);
  BackwardSteps(bottom[1]->gpu_data(), top[0]->gpu_diff());
  const Dtype* gates_diff = gates_.gpu_diff();
  caffe_gpu_gemm<Dtype>(CblasTrans, CblasNoTrans, 4 * D, D, rows, 1, gates_diff, continued_.gpu_data(), 1,
                        this->blobs_.back()->mutable_gpu_diff());
  caffe_gpu_gemm<Dtype>(CblasTrans, CblasNoTrans, 4 * D, inputs, rows, 1, gates_diff, bottom[0]->gpu_data(), 1,
                        this->blobs_[0]->mutable_gpu_diff());
  caffe_gpu_gemv<Dtype>(CblasTrans, rows, 4 * D, 1, gates_diff, ones_.gpu_data(), 1,
                        this->blobs_[1]->mutable_gpu_diff());
  if (propagate_down[0])
    caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, rows, inputs, 4 * D, 1, gates_diff, this->blobs_[0]->gpu_data(),
                          0, bottom[0]->mutable_gpu_diff());
  if (this->static_input_) BackwardStatic(bottom[2], propagate_down[2]);
}

template <typename Dtype>
void FusedLSTMLayer<Dtype>::BackwardSteps(const Dtype* cont, const Dtype* top_diff) {
  const int T = this->T_, N = this->N_, D = cells_.shape(2), step = N * D;
  const Dtype *gates = gates_.gpu_data(), *cells = cells_.gpu_data();
  Dtype *gates_diff = gates_.mutable_gpu_diff(), *state_diff = state_.mutable_gpu_diff();
  Dtype* cell_diff = state_diff + step;
  for (int t = T - 1; t >= 0; --t) {
    const Dtype* cell_before = t ? cells + (t - 1) * step : this->recur_input_blobs_[1]->gpu_data();
    StepBackward<Dtype><<<CAFFE_GET_BLOCKS(step), CAFFE_CUDA_NUM_THREADS>>>(
        step, D, gates + 4 * t * step, cells + t * step, cell_before, cont + t * N,
        t + 1 < T ? cont + (t + 1) * N : nullptr, top_diff + t * step, state_diff, cell_diff,
        gates_diff + 4 * t * step);
    CUDA_POST_KERNEL_CHECK;
    if (t)
      caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, N, D, 4 * D, 1, gates_diff + 4 * t * step,
                            hidden_weights().gpu_data(), 0, state_diff);
  }
}

template <typename Dtype>
void FusedLSTMLayer<Dtype>::BackwardStatic(Blob<Dtype>* input, bool propagate_down) {
  const int T = this->T_, N = this->N_, gates = static_gates_.shape(1), inputs = input->count(1);
  Dtype* sum = static_gates_.mutable_gpu_diff();  // over the steps
  caffe_gpu_gemv<Dtype>(CblasTrans, T, N * gates, 1, gates_.gpu_diff(), ones_.gpu_data(), 0, sum);
  caffe_gpu_gemm<Dtype>(CblasTrans, CblasNoTrans, gates, inputs, N, 1, sum, input->gpu_data(), 1,
                        this->blobs_[2]->mutable_gpu_diff());
  if (propagate_down)
    caffe_gpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, N, inputs, gates, 1, sum, this->blobs_[2]->gpu_data(), 0,
                          input->mutable_gpu_diff());
}

INSTANTIATE_CLASS(FusedLSTMLayer);

}  // namespace caffe
