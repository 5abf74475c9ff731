variable "bucket" {
  type        = string
  description = "The bucket of `aws cloudformation package`"
}

resource "aws_s3_object" "template" {
  bucket      = var.bucket
  key         = "connect-message-sender/${filemd5("template/packaged.json")}.json"
  source      = "template/packaged.json"
  source_hash = filemd5("template/packaged.json")
}

resource "aws_cloudformation_stack" "sender" {
  name         = "ConnectMessageSender-dev"
  template_url = "https://${var.bucket}.s3.amazonaws.com/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  tags         = { project = "connect-message-sender", stage = "dev" }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role_policy_attachment" "producer" {
  role       = "my-backend"
  policy_arn = aws_cloudformation_stack.sender.outputs["ProducerPolicyArn"]
}
