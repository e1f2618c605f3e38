#include "lrn.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.hpp"

namespace caffe {

namespace {

const int most_places = 256;  // of a channel in a piece, whose lines of a few channels stay in a core's nearest cache

// values[i] = scale[i] ^ -beta
template <typename Dtype>
void powers(int count, Dtype beta, const Dtype* scale, Dtype* values) {
  if (beta == Dtype(0.75))
    for (int i = 0; i < count; ++i) {
      const Dtype root = std::sqrt(scale[i]);
      values[i] = 1 / (root * std::sqrt(root));
    }
  else
    for (int i = 0; i < count; ++i) values[i] = std::pow(scale[i], -beta);
}

}  // namespace

template <typename Dtype>
template <typename Work>
void PiecewiseLRNLayer<Dtype>::each_piece(const Work& work) const {
  const int plane = this->height_ * this->width_, pieces = (plane + most_places - 1) / most_places;
  const double values = static_cast<double>(this->num_) * this->channels_ * plane;
  lrcn::in_parallel(this->num_ * pieces, 10 * values, [&](int task) {
    const int first = task % pieces * most_places;
    work(static_cast<size_t>(task / pieces) * this->channels_ * plane + first, std::min(most_places, plane - first));
  });
}

// The sums slide over the channels: one comes, one goes.
template <typename Dtype>
void PiecewiseLRNLayer<Dtype>::CrossChannelForward_cpu(const vector<Blob<Dtype>*>& bottom,
                                                       const vector<Blob<Dtype>*>& top) {
  if (bottom[0] == top[0]) return LRNLayer<Dtype>::CrossChannelForward_cpu(bottom, top);
  const size_t plane = static_cast<size_t>(this->height_) * this->width_;
  const Dtype* bottom_data = bottom[0]->cpu_data();
  Dtype *top_data = top[0]->mutable_cpu_data(), *scale_data = this->scale_.mutable_cpu_data();
  const Dtype weight = this->alpha_ / this->size_;
  each_piece([&](size_t begin, int places) {
    const Dtype* values = bottom_data + begin;
    Dtype* scale = scale_data + begin;
    const auto add = [&](int channel, Dtype weight, Dtype* sums) {
      if (channel < 0 || channel >= this->channels_) return;
      const Dtype* line = values + channel * plane;
      for (int i = 0; i < places; ++i) sums[i] += weight * (line[i] * line[i]);
    };
    Dtype sums[most_places];
    std::fill(sums, sums + places, this->k_);
    for (int channel = 0; channel < this->pre_pad_; ++channel) add(channel, weight, sums);
    for (int channel = 0; channel < this->channels_; ++channel) {
      add(channel + this->pre_pad_, weight, sums);
      add(channel - this->pre_pad_ - 1, -weight, sums);
      std::copy(sums, sums + places, scale + channel * plane);
      Dtype* out = top_data + begin + channel * plane;
      const Dtype* line = values + channel * plane;
      Dtype power[most_places];
      powers(places, this->beta_, sums, power);
      for (int i = 0; i < places; ++i) out[i] = power[i] * line[i];
    }
  });
}

template <typename Dtype>
void PiecewiseLRNLayer<Dtype>::CrossChannelBackward_cpu(const vector<Blob<Dtype>*>& top,
                                                        const vector<bool>& propagate_down,
                                                        const vector<Blob<Dtype>*>& bottom) {
  if (bottom[0] == top[0]) return LRNLayer<Dtype>::CrossChannelBackward_cpu(top, propagate_down, bottom);
  if (!propagate_down[0]) return;
  const size_t plane = static_cast<size_t>(this->height_) * this->width_;
  const Dtype *bottom_data = bottom[0]->cpu_data(), *top_data = top[0]->cpu_data(), *top_diff = top[0]->cpu_diff();
  const Dtype* scale_data = this->scale_.cpu_data();
  Dtype* bottom_diff = bottom[0]->mutable_cpu_diff();
  const Dtype weight = 2. * this->alpha_ * this->beta_ / this->size_;
  each_piece([&](size_t begin, int places) {
    const int ring = this->size_ + 1;  // lines of ratios that are still to go
    Dtype* ratios = lrcn::scratch<Dtype>(static_cast<size_t>(ring) * most_places);
    Dtype sums[most_places] = {0}, power[most_places];
    const auto come = [&](int channel) {  // diff * y / scale of a channel, kept until it goes
      if (channel >= this->channels_) return;
      const size_t at = begin + channel * plane;
      Dtype* own = ratios + channel % ring * most_places;
      for (int i = 0; i < places; ++i) own[i] = top_diff[at + i] * top_data[at + i] / scale_data[at + i];
      for (int i = 0; i < places; ++i) sums[i] += own[i];
    };
    for (int channel = 0; channel < this->pre_pad_; ++channel) come(channel);
    for (int channel = 0; channel < this->channels_; ++channel) {
      come(channel + this->pre_pad_);
      const size_t at = begin + channel * plane;
      powers(places, this->beta_, scale_data + at, power);
      for (int i = 0; i < places; ++i)
        bottom_diff[at + i] = top_diff[at + i] * power[i] - weight * (bottom_data[at + i] * sums[i]);
      if (channel < this->pre_pad_) continue;
      const Dtype* gone = ratios + (channel - this->pre_pad_) % ring * most_places;
      for (int i = 0; i < places; ++i) sums[i] -= gone[i];
    }
  });
}

INSTANTIATE_CLASS(PiecewiseLRNLayer);

}  // namespace caffe
