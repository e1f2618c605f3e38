#include "softmax.hpp"

#ifdef USE_CUDNN
#include <vector>

namespace caffe {

template <typename Dtype>
void RowSoftmaxLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (this->inner_num_ > 1) return CuDNNSoftmaxLayer<Dtype>::Forward_gpu(bottom, top);
  CUDNN_CHECK(cudnnSoftmaxForward(this->handle_, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE,
                                  cudnn::dataType<Dtype>::one, this->bottom_desc_, bottom[0]->gpu_data(),
                                  cudnn::dataType<Dtype>::zero, this->top_desc_, top[0]->mutable_gpu_data()));
}

template <typename Dtype>
void RowSoftmaxLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                          const vector<Blob<Dtype>*>& bottom) {
  if (this->inner_num_ > 1) return CuDNNSoftmaxLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  if (!propagate_down[0]) return;
  CUDNN_CHECK(cudnnSoftmaxBackward(this->handle_, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE,
                                   cudnn::dataType<Dtype>::one, this->top_desc_, top[0]->gpu_data(), this->top_desc_,
                                   top[0]->gpu_diff(), cudnn::dataType<Dtype>::zero, this->bottom_desc_,
                                   bottom[0]->mutable_gpu_diff()));
}

INSTANTIATE_CLASS(RowSoftmaxLayer);

}  // namespace caffe
#endif
