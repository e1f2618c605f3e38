#include "convolution.hpp"

#include <algorithm>
#include <limits>

#include "caffe/util/math_functions.hpp"
#include "settings.hpp"

namespace caffe {

namespace {

const int most_rows = 65535;  // of a grid's second axis

// A block's second axis is an image: one division a value, which else takes longer than its memory.
template <typename Dtype>
__global__ void AddBias(const int images, const int count, const int size, const Dtype* bias, Dtype* top) {
  const int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const Dtype value = bias[index / size];
  for (int image = blockIdx.y; image < images; image += gridDim.y)
    top[static_cast<size_t>(image) * count + index] += value;
}

// A warp a plane: of the size of 13x13 as of 111x111 it takes what reading takes, which a gemv of cuBLAS may not.
template <typename Dtype>
__global__ void SumPlanes(const int planes, const int size, const Dtype* values, Dtype* sums) {
  const int lane = threadIdx.x % 32, plane = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (plane >= planes) return;
  const Dtype* own = values + static_cast<size_t>(plane) * size;
  Dtype sum = 0;
#pragma unroll 8
  for (int i = lane; i < size; i += 32) sum += own[i];
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffff, sum, by);
  if (lane == 0) sums[plane] = sum;
}

}  // namespace

template <typename Dtype>
void TunedConvolutionLayer<Dtype>::Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  ConvolutionLayer<Dtype>::Reshape(bottom, top);
  if (!this->is_flat()) return;
  const int *kernel = this->kernel_shape_.cpu_data(), *pad = this->pad_.cpu_data();
  const int *stride = this->stride_.cpu_data(), *dilation = this->dilation_.cpu_data();
  const lrcn::Geometry geometry = {
      this->num_,       this->channels_,         this->input_shape(1),     this->input_shape(2),
      this->num_output_, this->output_shape_[0], this->output_shape_[1],   this->group_,
      kernel[0],        kernel[1],               pad[0],                   pad[1],
      stride[0],        stride[1],               dilation[0],              dilation[1]};
  if (algorithm_[0] && geometry == geometry_) return;
  geometry_ = geometry;
  for (auto& algorithm : algorithm_) algorithm.reset();
  ones_.Reshape({this->num_});
  caffe_set(ones_.count(), Dtype(1), ones_.mutable_cpu_data());
  sums_.Reshape({this->num_ * this->num_output_});
}

template <typename Dtype>
void TunedConvolutionLayer<Dtype>::Convolve(lrcn::Direction direction, const Dtype* first, const Dtype* second,
                                            Dtype* out) {
  auto& algorithm = algorithm_[static_cast<int>(direction)];
  if (!algorithm) {
    Blob<Dtype> elsewhere;  // trying out would add to the gradient of the weights
    const bool adds = direction == lrcn::Direction::backward_filter;
    if (adds) elsewhere.ReshapeLike(*this->blobs_[0]);
    algorithm = lrcn::chosen_algorithm(direction, geometry_, first, second, adds ? elsewhere.mutable_gpu_data() : out);
  }
  CHECK(algorithm->run(first, second, out, lrcn::workspace(algorithm->workspace())))
      << "convolution: " << algorithm->name() << " failed at " << geometry_.text();
}

template <typename Dtype>
void TunedConvolutionLayer<Dtype>::Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!this->is_flat()) return ConvolutionLayer<Dtype>::Forward_gpu(bottom, top);
  for (size_t i = 0; i < bottom.size(); ++i) {
    Dtype* out = top[i]->mutable_gpu_data();
    Convolve(lrcn::Direction::forward, bottom[i]->gpu_data(), this->blobs_[0]->gpu_data(), out);
    if (!this->bias_term_) continue;
    const int count = top[i]->count() / this->num_;
    const dim3 blocks(CAFFE_GET_BLOCKS(count), std::min(this->num_, most_rows));
    AddBias<Dtype><<<blocks, CAFFE_CUDA_NUM_THREADS>>>(this->num_, count, this->out_spatial_dim_,
                                                       this->blobs_[1]->gpu_data(), out);
    CUDA_POST_KERNEL_CHECK;
  }
}

template <typename Dtype>
void TunedConvolutionLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                                const vector<Blob<Dtype>*>& bottom) {
  if (!this->is_flat()) return ConvolutionLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  for (size_t i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) AddBiasGradient(top_diff);
    if (this->param_propagate_down_[0])
      Convolve(lrcn::Direction::backward_filter, bottom[i]->gpu_data(), top_diff,
               this->blobs_[0]->mutable_gpu_diff());
    if (propagate_down[i])
      Convolve(lrcn::Direction::backward_data, top_diff, this->blobs_[0]->gpu_data(), bottom[i]->mutable_gpu_diff());
  }
}

template <typename Dtype>
void TunedConvolutionLayer<Dtype>::AddBiasGradient(const Dtype* top_diff) {
  const int planes = this->num_ * this->num_output_, threads = 256, at_once = threads / 32;
  SumPlanes<Dtype><<<(planes + at_once - 1) / at_once, threads>>>(planes, this->out_spatial_dim_, top_diff,
                                                                  sums_.mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
  caffe_gpu_gemv<Dtype>(CblasTrans, this->num_, this->num_output_, 1, sums_.gpu_data(), ones_.gpu_data(), 1,
                        this->blobs_[1]->mutable_gpu_diff());
}

INSTANTIATE_CLASS(TunedConvolutionLayer);

}  // namespace caffe

namespace lrcn {

using caffe::CAFFE_CUDA_NUM_THREADS;
using caffe::CAFFE_GET_BLOCKS;
using caffe::Caffe;

namespace {

// One place of `images` pieces of the input for each output: columns (images, channels * kernel, out_size).
template <typename Dtype>
__global__ void ImagesToColumns(const int count, const Geometry g, const Dtype* images, Dtype* columns) {
  CUDA_KERNEL_LOOP(index, count) {  // an image's channel at one place of the output
    const int out_size = g.out_height * g.out_width;
    const int place = index % out_size, plane = index / out_size;
    const int top = place / g.out_width * g.stride_h - g.pad_h, left = place % g.out_width * g.stride_w - g.pad_w;
    const Dtype* image = images + static_cast<size_t>(plane) * g.height * g.width;
    Dtype* column = columns + static_cast<size_t>(plane) * g.kernel_h * g.kernel_w * out_size + place;
    for (int i = 0; i < g.kernel_h; ++i) {
      const int row = top + i * g.dilation_h;
      for (int j = 0; j < g.kernel_w; ++j, column += out_size) {
        const int side = left + j * g.dilation_w;
        const bool inside = row >= 0 && row < g.height && side >= 0 && side < g.width;
        *column = inside ? image[row * g.width + side] : Dtype(0);
      }
    }
  }
}

// Back again: each value of the input is the sum of its places in the columns.
template <typename Dtype>
__global__ void ColumnsToImages(const int count, const Geometry g, const Dtype* columns, Dtype* images) {
  CUDA_KERNEL_LOOP(index, count) {
    const int side = index % g.width + g.pad_w, rest = index / g.width;
    const int row = rest % g.height + g.pad_h, plane = rest / g.height;
    const int out_size = g.out_height * g.out_width;
    const Dtype* column = columns + static_cast<size_t>(plane) * g.kernel_h * g.kernel_w * out_size;
    Dtype sum = 0;
    for (int i = 0; i < g.kernel_h; ++i) {
      const int below = row - i * g.dilation_h, y = below / g.stride_h;
      for (int j = 0; j < g.kernel_w; ++j, column += out_size) {
        const int beside = side - j * g.dilation_w, x = beside / g.stride_w;
        const bool is_place = below >= 0 && beside >= 0 && y * g.stride_h == below && x * g.stride_w == beside &&
                              y < g.out_height && x < g.out_width;
        if (is_place) sum += column[y * g.out_width + x];
      }
    }
    images[index] = sum;
  }
}

template <typename Dtype>
__global__ void AddSumOfImages(const int count, const int images, const Dtype* gradients, Dtype* sum) {
  CUDA_KERNEL_LOOP(index, count) {
    Dtype all = 0;
    for (int image = 0; image < images; ++image) all += gradients[static_cast<size_t>(image) * count + index];
    sum[index] += all;
  }
}

cublasStatus_t gemm(cublasOperation_t b_op, cublasOperation_t a_op, int n, int m, int k, const float* b, int ldb,
                    long long b_step, const float* a, int lda, long long a_step, float* c, int ldc, long long c_step,
                    int images) {
  const float one = 1, zero = 0;
  return cublasSgemmStridedBatched(Caffe::cublas_handle(), b_op, a_op, n, m, k, &one, b, ldb, b_step, a, lda, a_step,
                                   &zero, c, ldc, c_step, images);
}

cublasStatus_t gemm(cublasOperation_t b_op, cublasOperation_t a_op, int n, int m, int k, const double* b, int ldb,
                    long long b_step, const double* a, int lda, long long a_step, double* c, int ldc, long long c_step,
                    int images) {
  const double one = 1, zero = 0;
  return cublasDgemmStridedBatched(Caffe::cublas_handle(), b_op, a_op, n, m, k, &one, b, ldb, b_step, a, lda, a_step,
                                   &zero, c, ldc, c_step, images);
}

template <typename Dtype>
class BatchedGemm : public Algorithm<Dtype> {
 public:
  BatchedGemm(Direction direction, const Geometry& geometry) : direction_(direction), whole_(geometry) {
    const size_t most = std::max<size_t>(1, workspace_limit() / (image_count() * sizeof(Dtype)));
    // The kernels count with an int, to which they add what they have counted.
    const size_t counted = std::max<size_t>(1, std::numeric_limits<int>::max() / 2 / largest());
    at_once_ = std::min({most, counted, static_cast<size_t>(geometry.images)});
  }
  std::string name() const { return "batched gemm"; }
  size_t workspace() const { return at_once_ * image_count() * sizeof(Dtype); }

  bool run(const Dtype* first, const Dtype* second, Dtype* out, void* workspace) const {
    Dtype* columns = static_cast<Dtype*>(workspace);
    for (int begin = 0; begin < whole_.images; begin += at_once_) {
      Geometry part = whole_;
      part.images = std::min<int>(at_once_, whole_.images - begin);
      const size_t in = static_cast<size_t>(begin) * whole_.channels * whole_.height * whole_.width;
      const size_t of_out = static_cast<size_t>(begin) * whole_.outputs * whole_.out_size();
      bool done = false;
      switch (direction_) {
        case Direction::forward:
          done = forward(part, first + in, second, out + of_out, columns);
          break;
        case Direction::backward_data:
          done = backward_data(part, first + of_out, second, out + in, columns);
          break;
        case Direction::backward_filter:
          done = backward_filter(part, first + in, second + of_out, out, columns);
      }
      if (!done) return false;
    }
    return true;
  }

 private:
  // In a workspace: an image's columns, and where the weights' gradient is made, that of an image alone.
  size_t columns_count() const { return static_cast<size_t>(whole_.group) * whole_.group_kernel() * whole_.out_size(); }
  size_t weights_count() const { return static_cast<size_t>(whole_.outputs) * whole_.group_kernel(); }
  size_t image_count() const {
    return columns_count() + (direction_ == Direction::backward_filter ? weights_count() : 0);
  }
  size_t largest() const {
    return std::max(columns_count(), static_cast<size_t>(whole_.channels) * whole_.height * whole_.width);
  }

  bool to_columns(const Geometry& g, const Dtype* images, Dtype* columns) const {
    const int count = g.images * g.channels * g.out_size();
    ImagesToColumns<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(count, g, images, columns);
    return cudaPeekAtLastError() == cudaSuccess;
  }

  bool forward(const Geometry& g, const Dtype* images, const Dtype* weights, Dtype* out, Dtype* columns) const {
    if (!to_columns(g, images, columns)) return false;
    const int size = g.out_size(), kernel = g.group_kernel(), outputs = g.group_outputs();
    for (int group = 0; group < g.group; ++group) {
      const auto status = gemm(CUBLAS_OP_N, CUBLAS_OP_N, size, outputs, kernel,
                               columns + static_cast<size_t>(group) * kernel * size, size, columns_count(),
                               weights + static_cast<size_t>(group) * outputs * kernel, kernel, 0,
                               out + static_cast<size_t>(group) * outputs * size, size, g.outputs * size, g.images);
      if (status != CUBLAS_STATUS_SUCCESS) return false;
    }
    return true;
  }

  bool backward_data(const Geometry& g, const Dtype* out_diff, const Dtype* weights, Dtype* images,
                     Dtype* columns) const {
    const int size = g.out_size(), kernel = g.group_kernel(), outputs = g.group_outputs();
    for (int group = 0; group < g.group; ++group) {
      const auto status = gemm(CUBLAS_OP_N, CUBLAS_OP_T, size, kernel, outputs,
                               out_diff + static_cast<size_t>(group) * outputs * size, size, g.outputs * size,
                               weights + static_cast<size_t>(group) * outputs * kernel, kernel, 0,
                               columns + static_cast<size_t>(group) * kernel * size, size, columns_count(), g.images);
      if (status != CUBLAS_STATUS_SUCCESS) return false;
    }
    const int count = g.images * g.channels * g.height * g.width;
    ColumnsToImages<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(count, g, columns, images);
    return cudaPeekAtLastError() == cudaSuccess;
  }

  bool backward_filter(const Geometry& g, const Dtype* images, const Dtype* out_diff, Dtype* sum,
                       Dtype* columns) const {
    if (!to_columns(g, images, columns)) return false;
    const int size = g.out_size(), kernel = g.group_kernel(), outputs = g.group_outputs();
    Dtype* gradients = columns + at_once_ * columns_count();
    for (int group = 0; group < g.group; ++group) {
      const auto status = gemm(CUBLAS_OP_T, CUBLAS_OP_N, kernel, outputs, size,
                               columns + static_cast<size_t>(group) * kernel * size, size, columns_count(),
                               out_diff + static_cast<size_t>(group) * outputs * size, size, g.outputs * size,
                               gradients + static_cast<size_t>(group) * outputs * kernel, kernel, weights_count(),
                               g.images);
      if (status != CUBLAS_STATUS_SUCCESS) return false;
    }
    const int count = weights_count();
    AddSumOfImages<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(count, g.images, gradients, sum);
    return cudaPeekAtLastError() == cudaSuccess;
  }

  Direction direction_;
  Geometry whole_;
  size_t at_once_;  // images
};

}  // namespace

template <typename Dtype>
std::shared_ptr<Algorithm<Dtype>> batched_gemm(Direction direction, const Geometry& geometry) {
  return std::make_shared<BatchedGemm<Dtype>>(direction, geometry);
}

template std::shared_ptr<Algorithm<float>> batched_gemm(Direction, const Geometry&);
template std::shared_ptr<Algorithm<double>> batched_gemm(Direction, const Geometry&);

}  // namespace lrcn
