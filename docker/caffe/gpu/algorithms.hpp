// The algorithm of each convolution: tried out once, and kept with the run.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caffe/common.hpp"

namespace lrcn {

enum class Direction { forward, backward_data, backward_filter };

// A convolution's sizes: all that the choice of an algorithm depends on.
struct Geometry {
  int images, channels, height, width;    // of the input
  int outputs, out_height, out_width;     // of the output
  int group, kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w;

  int out_size() const { return out_height * out_width; }
  int group_outputs() const { return outputs / group; }
  int group_kernel() const { return channels / group * kernel_h * kernel_w; }  // values that one output is made of
  bool operator==(const Geometry& other) const;
  std::string text() const;
};

// One way to compute a convolution in one direction. The two things it is made of, and what comes out:
//   forward          input, weights     -> output, written over
//   backward_data    output's gradient, weights -> input's gradient, written over
//   backward_filter  input, output's gradient -> weights' gradient, added to
template <typename Dtype>
class Algorithm {
 public:
  virtual ~Algorithm() {}
  virtual std::string name() const = 0;
  virtual size_t workspace() const = 0;  // bytes
  // False where it turns out not to be possible here.
  virtual bool run(const Dtype* first, const Dtype* second, Dtype* out, void* workspace) const = 0;
};

template <typename Dtype>
using Algorithms = std::vector<std::shared_ptr<Algorithm<Dtype>>>;

// By Caffe's own way, im2col and a product of matrices, but for as many images at once as the workspace allows.
template <typename Dtype>
std::shared_ptr<Algorithm<Dtype>> batched_gemm(Direction, const Geometry&);

// cuDNN's: the deterministic ones, or all where `fast()`. None in an engine without cuDNN.
template <typename Dtype>
Algorithms<Dtype> cudnn_algorithms(Direction, const Geometry&);

// Memory on the card that all convolutions of the process share: they run one after the other. It grows only,
// but for the time in which algorithms are tried out.
void* workspace(size_t bytes);

// The algorithm for a convolution of these sizes: the one that was chosen before, else the quickest on these operands.
// `out` is written over.
template <typename Dtype>
std::shared_ptr<Algorithm<Dtype>> chosen_algorithm(Direction, const Geometry&, const Dtype* first, const Dtype* second,
                                                   Dtype* out);

// What was chosen, by what it was chosen for: card, libraries, precision, sizes.
class Choices {
 public:
  explicit Choices(const std::string& file);  // the file of an earlier process; "" for none
  std::string find(const std::string& key) const;  // "" where there is none
  void add(const std::string& key, const std::string& algorithm);  // and writes the file anew, as a whole

 private:
  std::string file_;
  std::map<std::string, std::string> algorithm_of_;
};

}  // namespace lrcn
