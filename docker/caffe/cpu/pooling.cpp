#include "pooling.hpp"

#include <algorithm>
#include <cfloat>
#include <vector>

#include "parallel.hpp"

namespace caffe {

namespace {

// A maximum and its place, or, of equal ones, the first place: that of whichever is greater.
template <typename Dtype>
struct Greatest {
  Dtype* values;
  int* places;

  void clear(int count) const {
    std::fill(values, values + count, Dtype(-FLT_MAX));
    std::fill(places, places + count, -1);
  }
};

// Of each column of so many of a plane's lines: `values`, whose first place is `place`.
template <typename Dtype>
void take_line(int count, const Dtype* values, int place, Greatest<Dtype> columns) {
  for (int i = 0; i < count; ++i) {
    const bool is_greater = values[i] > columns.values[i];
    columns.places[i] = is_greater ? place + i : columns.places[i];
    columns.values[i] = is_greater ? values[i] : columns.values[i];
  }
}

// Of windows side by side, `step` columns apart: STRIDE, or where that is 0, `stride`.
template <int STRIDE, typename Dtype>
void take_columns(int count, int stride, Greatest<Dtype> columns, Greatest<Dtype> windows) {
  const int step = STRIDE ? STRIDE : stride;
  for (int i = 0; i < count; ++i) {
    const Dtype value = columns.values[step * i], old = windows.values[i];
    const int place = columns.places[step * i], old_place = windows.places[i];
    const bool is_greater = value > old || (value == old && place < old_place);
    windows.values[i] = is_greater ? value : old;
    windows.places[i] = is_greater ? place : old_place;
  }
}

template <typename Dtype>
void take_columns(int count, int stride, Greatest<Dtype> columns, Greatest<Dtype> windows) {
  if (stride == 2) return take_columns<2>(count, stride, columns, windows);
  take_columns<0>(count, stride, columns, windows);
}

}  // namespace

template <typename Dtype>
bool PlanewisePoolingLayer<Dtype>::is_of_maxima(const vector<Blob<Dtype>*>& top) const {
  return this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX && top.size() == 1;
}

template <typename Dtype>
void PlanewisePoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!is_of_maxima(top)) return PoolingLayer<Dtype>::Forward_cpu(bottom, top);
  const int height = this->height_, width = this->width_, out = this->pooled_width_;
  const size_t size = static_cast<size_t>(height) * width, pooled = static_cast<size_t>(this->pooled_height_) * out;
  const Dtype* images = bottom[0]->cpu_data();
  Dtype* maxima = top[0]->mutable_cpu_data();
  int* mask = this->max_idx_.mutable_cpu_data();
  lrcn::in_parallel(bottom[0]->num() * this->channels_, bottom[0]->count(), [&](int plane) {
    const Greatest<Dtype> columns = {lrcn::scratch<Dtype>(width), lrcn::scratch<int>(width)};
    for (int line = 0; line < this->pooled_height_; ++line) {
      columns.clear(width);
      const int above = line * this->stride_h_ - this->pad_h_;
      for (int row = std::max(above, 0); row < std::min(above + this->kernel_h_, height); ++row)
        take_line(width, images + plane * size + row * width, row * width, columns);
      const size_t first = plane * pooled + line * out;
      const Greatest<Dtype> windows = {maxima + first, mask + first};
      windows.clear(out);
      for (int column = 0; column < this->kernel_w_; ++column) {
        const int left = column - this->pad_w_, stride = this->stride_w_;  // left: in the first window
        const int begin = left < 0 ? (-left + stride - 1) / stride : 0;
        const int end = left < width ? std::min((width - 1 - left) / stride + 1, out) : 0;
        const int from = left + begin * stride;
        if (begin < end)
          take_columns<Dtype>(end - begin, stride, {columns.values + from, columns.places + from},
                              {windows.values + begin, windows.places + begin});
      }
    }
  });
}

template <typename Dtype>
void PlanewisePoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                                const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0] || !is_of_maxima(top))
    return PoolingLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  const int size = this->height_ * this->width_, pooled = this->pooled_height_ * this->pooled_width_;
  const Dtype* top_diff = top[0]->cpu_diff();
  const int* mask = this->max_idx_.cpu_data();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  lrcn::in_parallel(bottom[0]->num() * this->channels_, bottom[0]->count(), [&](int plane) {
    Dtype* diff = bottom_diff + static_cast<size_t>(plane) * size;
    std::fill(diff, diff + size, Dtype(0));
    const size_t first = static_cast<size_t>(plane) * pooled;
    for (size_t window = first; window < first + pooled; ++window)
      if (mask[window] >= 0) diff[mask[window]] += top_diff[window];  // a window of NaN has no maximum
  });
}

INSTANTIATE_CLASS(PlanewisePoolingLayer);

}  // namespace caffe
