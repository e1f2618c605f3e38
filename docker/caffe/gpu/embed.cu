#include "embed.hpp"

#include <vector>

#include "caffe/util/math_functions.hpp"

namespace caffe {

// Every thread looks at all words, equal or not: loads that need not wait for one another.
template <typename Dtype>
__global__ void LinkEqualWords(const int words, const Dtype* word, int* is_first, int* next) {
  CUDA_KERNEL_LOOP(index, words) {
    const int own = static_cast<int>(word[index]);
    int before = 0, after = words;
    for (int other = 0; other < words; ++other) {
      const bool equal = static_cast<int>(word[other]) == own;
      before += equal && other < index;
      after = equal && other > index ? min(after, other) : after;
    }
    is_first[index] = before == 0;
    next[index] = after < words ? after : -1;
  }
}

// Padding is one word in hundreds of places: what is added is read for some of them at once, in their order.
template <typename Dtype>
__global__ void AddToWords(const int count, const int dim, const Dtype* word, const int* is_first, const int* next,
                           const Dtype* top_diff, Dtype* weight_diff) {
  CUDA_KERNEL_LOOP(index, count) {
    const int first = index / dim, d = index % dim;
    if (!is_first[first]) continue;
    Dtype* place = weight_diff + static_cast<size_t>(word[first]) * dim + d;
    Dtype sum = *place, read[8];
    for (int same = first; same >= 0;) {
      int count = 0;
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        if (same < 0) continue;
        read[k] = top_diff[static_cast<size_t>(same) * dim + d];
        same = next[same];
        ++count;
      }
#pragma unroll
      for (int k = 0; k < 8; ++k)
        if (k < count) sum += read[k];
    }
    *place = sum;
  }
}

template <typename Dtype>
void OrderedEmbedLayer<Dtype>::Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                            const vector<Blob<Dtype>*>& bottom) {
  CHECK(!propagate_down[0]) << "Can't backpropagate to EmbedLayer input.";
  const Dtype* top_diff = top[0]->gpu_diff();
  const int words = this->M_, dim = this->N_, count = words * dim;
  if (this->param_propagate_down_[0]) {
    const Dtype* word = bottom[0]->gpu_data();
    links_.Reshape({2, words});
    int *is_first = links_.mutable_gpu_data(), *next = is_first + words;
    const int threads = 64;  // few, so that many multiprocessors take part
    LinkEqualWords<Dtype><<<(words + threads - 1) / threads, threads>>>(words, word, is_first, next);
    CUDA_POST_KERNEL_CHECK;
    AddToWords<Dtype><<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(
        count, dim, word, is_first, next, top_diff, this->blobs_[0]->mutable_gpu_diff());
    CUDA_POST_KERNEL_CHECK;
  }
  if (this->bias_term_ && this->param_propagate_down_[1])
    caffe_gpu_gemv<Dtype>(CblasTrans, words, dim, 1, top_diff, this->bias_multiplier_.gpu_data(), 1,
                          this->blobs_[1]->mutable_gpu_diff());
}

INSTANTIATE_CLASS(OrderedEmbedLayer);

}  // namespace caffe
