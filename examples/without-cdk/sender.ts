import * as cdk from 'aws-cdk-lib';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import * as iam from 'aws-cdk-lib/aws-iam';

export class Sender extends cdk.Stack {
  constructor(scope: cdk.App) {
    super(scope, 'Sender', {
      stackName: 'ConnectMessageSender-dev',
      tags: { project: 'connect-message-sender', stage: 'dev' },
      terminationProtection: true,
    });

    const sender = new CfnInclude(this, 'Template', { templateFile: 'template/packaged.json' });

    const producerPolicy = sender.getOutput('ProducerPolicyArn').value;
    const backend = iam.Role.fromRoleName(this, 'Backend', 'my-backend');
    backend.addManagedPolicy(iam.ManagedPolicy.fromManagedPolicyArn(this, 'Producer', producerPolicy));
  }
}

new Sender(new cdk.App());
