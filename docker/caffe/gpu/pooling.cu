#include "pooling.hpp"

#include <algorithm>
#include <vector>

namespace caffe {

namespace {

const int most_planes = 65535;  // of a grid's second axis

struct Windows {
  int planes, height, width, pooled_height, pooled_width, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

// Each value takes the gradients of the windows whose maximum it was. STRIDE: of both axes, or 0 for those of `s`;
// known to the compiler, it needs no division. A block's second axis is a plane: no division for that either.
template <typename Dtype, int STRIDE>
__global__ void MaxPoolGradient(const Windows s, const Dtype* top_diff, const int* mask, Dtype* bottom_diff) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x, size = s.height * s.width;
  if (place >= size) return;
  const int stride_h = STRIDE ? STRIDE : s.stride_h, stride_w = STRIDE ? STRIDE : s.stride_w;
  const int row = place / s.width + s.pad_h, column = place % s.width + s.pad_w;
  const int first_y = row < s.kernel_h ? 0 : (row - s.kernel_h) / stride_h + 1;
  const int first_x = column < s.kernel_w ? 0 : (column - s.kernel_w) / stride_w + 1;
  const int last_y = min(row / stride_h, s.pooled_height - 1), last_x = min(column / stride_w, s.pooled_width - 1);
  for (int plane = blockIdx.y; plane < s.planes; plane += gridDim.y) {
    const size_t pooled = static_cast<size_t>(plane) * s.pooled_height * s.pooled_width;
    Dtype sum = 0;
    for (int y = first_y; y <= last_y; ++y)
      for (int x = first_x; x <= last_x; ++x) {
        const size_t window = pooled + y * s.pooled_width + x;
        if (mask[window] == place) sum += top_diff[window];
      }
    bottom_diff[static_cast<size_t>(plane) * size + place] = sum;
  }
}

}  // namespace

template <typename Dtype>
void QuickPoolingLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  const bool is_max = this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX;
  if (!is_max || top.size() > 1 || !propagate_down[0])
    return PoolingLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  const Windows windows = {bottom[0]->num() * this->channels_,
                           this->height_,
                           this->width_,
                           this->pooled_height_,
                           this->pooled_width_,
                           this->kernel_h_,
                           this->kernel_w_,
                           this->stride_h_,
                           this->stride_w_,
                           this->pad_h_,
                           this->pad_w_};
  const int size = this->height_ * this->width_;
  const int threads = std::min(CAFFE_CUDA_NUM_THREADS, (size + 31) / 32 * 32);  // whole warps: late planes are small
  const dim3 blocks((size + threads - 1) / threads, std::min(windows.planes, most_planes));
  const bool by_two = this->stride_h_ == 2 && this->stride_w_ == 2;
  (by_two ? MaxPoolGradient<Dtype, 2> : MaxPoolGradient<Dtype, 0>)<<<blocks, threads>>>(
      windows, top[0]->gpu_diff(), this->max_idx_.gpu_data(), bottom[0]->mutable_gpu_diff());
  CUDA_POST_KERNEL_CHECK;
}

INSTANTIATE_CLASS(QuickPoolingLayer);

}  // namespace caffe
