#include "convolution.hpp"

#include <cblas.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "parallel.hpp"

namespace caffe {

namespace {

using lrcn::Axis;
using lrcn::ConvolutionSizes;
using lrcn::in_parallel;
using lrcn::scratch;

// [0, size) in blocks of nearly the same size, and none above `most`, which is at least 1.
struct Blocks {
  int size, count;
  Blocks(int size, int most) : size(size), count((size + most - 1) / most) {}
  int begin(int block) const { return static_cast<long>(size) * block / count; }
  int end(int block) const { return begin(block + 1); }
};

// Of columns, in a task: few enough to stay in a core's caches until they are multiplied, and enough for a product to
// repay that BLAS copies the weights for it. Found by trying.
const size_t columns_at_once = 5 << 17;  // values: 2.5 MiB
const int rows_at_once = 512;            // where all images are gone through for them

struct Range {
  int begin, end;
  int size() const { return end - begin; }
};

// Where on `axis` a kernel's value `offset` lies within the image: a range of places of the output.
Range inside(const Axis& axis, int offset) {
  const int first = axis.pad - offset * axis.dilation;  // what a place's begin must be at least, in steps of one
  const int begin = first <= 0 ? 0 : (first + axis.stride - 1) / axis.stride;
  const int last = axis.size - 1 + first;
  const int end = last < 0 ? 0 : last / axis.stride + 1;
  return {std::min(begin, axis.out), std::max(std::min(end, axis.out), std::min(begin, axis.out))};
}

template <typename Dtype>
void gather(int count, int stride, const Dtype* from, Dtype* to) {
  switch (stride) {  // known to the compiler, it takes vectors
    case 1:
      std::copy(from, from + count, to);
      break;
    case 2:
      for (int i = 0; i < count; ++i) to[i] = from[2 * i];
      break;
    case 4:
      for (int i = 0; i < count; ++i) to[i] = from[4 * i];
      break;
    default:
      for (int i = 0; i < count; ++i) to[i] = from[static_cast<size_t>(stride) * i];
  }
}

template <typename Dtype>
void add_scattered(int count, int stride, const Dtype* from, Dtype* to) {
  switch (stride) {
    case 1:
      for (int i = 0; i < count; ++i) to[i] += from[i];
      break;
    case 2:
      for (int i = 0; i < count; ++i) to[2 * i] += from[i];
      break;
    default:
      for (int i = 0; i < count; ++i) to[static_cast<size_t>(stride) * i] += from[i];
  }
}

// Where one row of a group's columns has values of the image, and where they lie in it: the row is that of one value of
// the filters, and has a value for each place that they come to.
struct Row {
  Range lines, places;  // of the output, and in each of these lines
  std::ptrdiff_t image; // the first of these values in the group's image

  bool is_empty() const { return !lines.size() || !places.size(); }  // all of it is pad; then `image` is nowhere
};

Row row_of(const ConvolutionSizes& s, int row, Range lines) {
  const int channel = row / s.kernel(), i = row % s.kernel() / s.x.kernel, j = row % s.x.kernel;
  const Range y = inside(s.y, i), x = inside(s.x, j);
  const int begin = std::min(std::max(y.begin, lines.begin), lines.end);
  const Range own = {begin, std::max(std::min(y.end, lines.end), begin)};
  const int line = own.begin * s.y.stride - s.y.pad + i * s.y.dilation;
  const int place = x.begin * s.x.stride - s.x.pad + j * s.x.dilation;
  return {own, x, static_cast<std::ptrdiff_t>(channel) * s.in_plane() + static_cast<std::ptrdiff_t>(line) * s.x.size + place};
}

// Whether a row is the image moved, but for its edges: then it is copied, or added, in one piece.
bool is_moved(const ConvolutionSizes& s) { return s.x.stride == 1 && s.y.stride == 1 && s.x.out == s.x.size; }

template <typename Dtype>
void clear_edges(const ConvolutionSizes& s, const Row& row, Dtype* line) {
  for (int count = row.lines.size(); count; --count, line += s.x.out) {
    std::fill(line, line + row.places.begin, Dtype(0));
    std::fill(line + row.places.end, line + s.x.out, Dtype(0));
  }
}

// The columns' rows, for the places in some lines of the output: (rows, lines * x.out).
template <typename Dtype>
void to_columns(const ConvolutionSizes& s, Range rows, Range lines, const Dtype* image, Dtype* columns) {
  for (int number = rows.begin; number < rows.end; ++number, columns += lines.size() * s.x.out) {
    const Row row = row_of(s, number, lines);
    const int count = row.lines.size();
    Dtype *first = columns + (row.lines.begin - lines.begin) * s.x.out, *end = first + count * s.x.out;
    std::fill(columns, first, Dtype(0));
    std::fill(end, columns + lines.size() * s.x.out, Dtype(0));
    if (is_moved(s) && !row.is_empty())
      gather((count - 1) * s.x.out + row.places.size(), 1, image + row.image, first + row.places.begin);
    else
      for (int line = 0; line < count; ++line)
        gather(row.places.size(), s.x.stride, image + row.image + line * s.y.stride * s.x.size,
               first + line * s.x.out + row.places.begin);
    clear_edges(s, row, first);
  }
}

// Back again, from columns of all lines, which it may spoil: each value of the image is the sum of its places in the
// columns.
template <typename Dtype>
void add_columns(const ConvolutionSizes& s, Range rows, Dtype* columns, Dtype* image) {
  for (int number = rows.begin; number < rows.end; ++number, columns += s.out_plane()) {
    const Row row = row_of(s, number, {0, s.y.out});
    if (row.is_empty()) continue;
    const int count = row.lines.size();
    Dtype* first = columns + row.lines.begin * s.x.out;
    if (is_moved(s)) {
      clear_edges(s, row, first);
      add_scattered((count - 1) * s.x.out + row.places.size(), 1, first + row.places.begin, image + row.image);
    } else {
      for (int line = 0; line < count; ++line)
        add_scattered(row.places.size(), s.x.stride, first + line * s.x.out + row.places.begin,
                      image + row.image + line * s.y.stride * s.x.size);
    }
  }
}

void gemm(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, int m, int n, int k, const float* a, int lda,
          const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, transpose_a, transpose_b, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void gemm(CBLAS_TRANSPOSE transpose_a, CBLAS_TRANSPOSE transpose_b, int m, int n, int k, const double* a, int lda,
          const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, transpose_a, transpose_b, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

int at_most(size_t values, size_t each, int all) { return std::max<size_t>(1, std::min<size_t>(values / each, all)); }

// A task is some lines of the output of an image and group.
template <typename Dtype>
void forward(const ConvolutionSizes& s, const Dtype* images, const Dtype* weights, const Dtype* bias, Dtype* top) {
  const Blocks lines(s.y.out, at_most(columns_at_once, static_cast<size_t>(s.rows()) * s.x.out, s.share(s.y.out)));
  in_parallel(s.images * s.groups * lines.count, s.products(), [&](int task) {
    const int piece = task / lines.count, group = piece % s.groups;  // piece: of all images' groups
    const Range block = {lines.begin(task % lines.count), lines.end(task % lines.count)};
    const int places = block.size() * s.x.out, first = block.begin * s.x.out;
    const Dtype *columns = images + piece * s.in_group() + first;
    if (!s.is_product) {
      Dtype* made = scratch<Dtype>(static_cast<size_t>(s.rows()) * places);
      to_columns(s, {0, s.rows()}, block, images + piece * s.in_group(), made);
      columns = made;
    }
    Dtype* out = top + piece * s.out_group() + first;
    gemm(CblasNoTrans, CblasNoTrans, s.outputs, places, s.rows(), weights + group * s.weights_group(), s.rows(), columns,
         s.is_product ? s.out_plane() : places, 0, out, s.out_plane());
    for (int output = 0; bias && output < s.outputs; ++output, out += s.out_plane()) {
      const Dtype value = bias[group * s.outputs + output];
      for (int i = 0; i < places; ++i) out[i] += value;
    }
  });
}

// A task is some channels of an image and group.
template <typename Dtype>
void backward_data(const ConvolutionSizes& s, const Dtype* top_diff, const Dtype* weights, Dtype* bottom_diff) {
  const size_t each = static_cast<size_t>(s.kernel()) * s.out_plane();
  const Blocks channels(s.channels, at_most(columns_at_once, each, s.share(s.channels)));
  in_parallel(s.images * s.groups * channels.count, s.products(), [&](int task) {
    const int piece = task / channels.count, group = piece % s.groups, block = task % channels.count;
    const Range rows = {channels.begin(block) * s.kernel(), channels.end(block) * s.kernel()};
    Dtype* image = bottom_diff + piece * s.in_group();
    Dtype* columns = s.is_product ? image + static_cast<size_t>(rows.begin) * s.out_plane()
                                  : scratch<Dtype>(static_cast<size_t>(rows.size()) * s.out_plane());
    gemm(CblasTrans, CblasNoTrans, rows.size(), s.out_plane(), s.outputs,
         weights + group * s.weights_group() + rows.begin, s.rows(), top_diff + piece * s.out_group(), s.out_plane(), 0,
         columns, s.out_plane());
    if (s.is_product) return;
    const size_t begin = static_cast<size_t>(channels.begin(block)) * s.in_plane();
    std::fill(image + begin, image + static_cast<size_t>(channels.end(block)) * s.in_plane(), Dtype(0));
    add_columns(s, rows, columns, image);
  });
}

// A task is some values of all filters of a group, over part of the images.
template <typename Dtype>
void add_weights_gradient(const ConvolutionSizes& s, const Dtype* images, const Dtype* top_diff, Dtype* weights_diff) {
  const Blocks rows(s.rows(), rows_at_once);
  const Blocks lines(s.y.out, at_most(columns_at_once, static_cast<size_t>(rows.end(0)) * s.x.out, s.y.out));
  const int tasks = rows.count * s.groups;
  const Blocks parts(s.images, std::max(1, s.images * tasks / lrcn::few_tasks));
  const size_t size = s.groups * s.weights_group();
  std::vector<Dtype> others((parts.count - 1) * size);  // the gradients of the images but for the first part
  in_parallel(tasks * parts.count, s.products(), [&](int task) {
    const int part = task / tasks, group = task % tasks / rows.count, block = task % rows.count;
    const Range own = {rows.begin(block), rows.end(block)};
    Dtype* diff = (part ? &others[(part - 1) * size] : weights_diff) + group * s.weights_group() + own.begin;
    for (int image = parts.begin(part); image < parts.end(part); ++image)
      for (int block = 0; block < lines.count; ++block) {
        const Range some = {lines.begin(block), lines.end(block)};
        const int places = some.size() * s.x.out, first = some.begin * s.x.out;
        const int piece = image * s.groups + group;
        const Dtype *own_image = images + piece * s.in_group(), *columns = own_image + first;
        if (!s.is_product) {
          Dtype* made = scratch<Dtype>(static_cast<size_t>(own.size()) * places);
          to_columns(s, own, some, own_image, made);
          columns = made;
        } else {
          columns += static_cast<size_t>(own.begin) * s.in_plane();
        }
        gemm(CblasNoTrans, CblasTrans, s.outputs, own.size(), places, top_diff + piece * s.out_group() + first,
             s.out_plane(), columns, s.is_product ? s.out_plane() : places, 1, diff, s.rows());
      }
  });
  for (size_t i = 0; i < others.size(); ++i) weights_diff[i % size] += others[i];
}

// A task is a plane of the output, of all images.
template <typename Dtype>
void add_bias_gradient(const ConvolutionSizes& s, const Dtype* top_diff, Dtype* bias_diff) {
  const int outputs = s.groups * s.outputs, size = s.out_plane(), lanes = 16;
  in_parallel(outputs, static_cast<double>(s.images) * outputs * size, [&](int output) {
    for (int image = 0; image < s.images; ++image) {
      const Dtype* plane = top_diff + (static_cast<size_t>(image) * outputs + output) * size;
      Dtype sums[lanes] = {0}, sum = 0;  // side by side, as a vector
      int i = 0;
      for (; i + lanes <= size; i += lanes)
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += plane[i + lane];
      for (; i < size; ++i) sum += plane[i];
      for (int lane = 0; lane < lanes; ++lane) sum += sums[lane];
      bias_diff[output] += sum;
    }
  });
}

}  // namespace

template <typename Dtype>
bool BlockedConvolutionLayer<Dtype>::is_flat() const {
  return this->num_spatial_axes_ == 2 && !this->force_nd_im2col_;
}

template <typename Dtype>
bool BlockedConvolutionLayer<Dtype>::is_ours(const Blob<Dtype>& image, const Blob<Dtype>& out) const {
  return is_flat() && image.count() && out.count();
}

template <typename Dtype>
lrcn::ConvolutionSizes BlockedConvolutionLayer<Dtype>::sizes() const {
  const auto axis = [this](int i) {
    return lrcn::Axis{this->conv_input_shape_.cpu_data()[i + 1], this->output_shape_[i],
                      this->kernel_shape_.cpu_data()[i],         this->pad_.cpu_data()[i],
                      this->stride_.cpu_data()[i],               this->dilation_.cpu_data()[i]};
  };
  return {axis(0),          axis(1),          this->num_, this->group_, this->channels_ / this->group_,
          this->num_output_ / this->group_, this->is_1x1_};
}

template <typename Dtype>
void BlockedConvolutionLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  if (!is_ours(*bottom[0], *top[0])) return ConvolutionLayer<Dtype>::Forward_cpu(bottom, top);
  const Dtype* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
  for (size_t i = 0; i < bottom.size(); ++i)
    forward(sizes(), bottom[i]->cpu_data(), this->blobs_[0]->cpu_data(), bias, top[i]->mutable_cpu_data());
}

template <typename Dtype>
void BlockedConvolutionLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                                  const vector<Blob<Dtype>*>& bottom) {
  if (!is_ours(*bottom[0], *top[0])) return ConvolutionLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  for (size_t i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->cpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1])
      add_bias_gradient(sizes(), top_diff, this->blobs_[1]->mutable_cpu_diff());
    if (this->param_propagate_down_[0])
      add_weights_gradient(sizes(), bottom[i]->cpu_data(), top_diff, this->blobs_[0]->mutable_cpu_diff());
    if (propagate_down[i])
      backward_data(sizes(), top_diff, this->blobs_[0]->cpu_data(), bottom[i]->mutable_cpu_diff());
  }
}

INSTANTIATE_CLASS(BlockedConvolutionLayer);

}  // namespace caffe
